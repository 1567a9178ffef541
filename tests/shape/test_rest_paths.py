"""REST paths, as the contracts state them."""

from __future__ import annotations

import re
from typing import Any

import pytest
from google.api import annotations_pb2
from google.protobuf.descriptor import Descriptor, MethodDescriptor

from services.kernel.identity import Role
from services.kernel.policy import policy_of
from tests.shape.test_wiring import methods

# What scripts and dashboards of the admin API before us ask for: these never change. A method that is not
# in the contracts yet is listed all the same, so that it gets its path when it comes. Verb, path, and the
# least role (None: without a token).
ADMIN_PATHS = {
    "SystemService.GetStatus": ("get", "/celery-admin/system/status", Role.VIEWER),
    "SystemService.GetMetrics": ("get", "/celery-admin/system/metrics", Role.VIEWER),
    "SystemService.GetInfo": ("get", "/celery-admin/system/info", None),
    "SystemService.CheckHealth": ("get", "/celery-admin/system/health", Role.VIEWER),
    "SystemService.Shutdown": ("post", "/celery-admin/system/shutdown", Role.SUPER_ADMIN),
    "SystemService.Restart": ("post", "/celery-admin/system/restart", Role.SUPER_ADMIN),
    "SystemService.Start": ("post", "/celery-admin/system/start", Role.SUPER_ADMIN),
    "ConfigService.ListConfigs": ("get", "/celery-admin/system/configuration", Role.ADMIN),
    "MonitoringService.GetRealtimeMetrics": (
        "get",
        "/celery-admin/monitoring/metrics/realtime",
        Role.VIEWER,
    ),
    "MonitoringService.GetDashboard": ("get", "/celery-admin/monitoring/dashboard", Role.VIEWER),
    "MonitoringService.ListSnapshots": ("get", "/celery-admin/monitoring/snapshots", Role.VIEWER),
    # Not of the admin API before us: the other two that a page of charts asks for stand beside it.
    "MonitoringService.ListMeasures": ("get", "/celery-admin/monitoring/measures", Role.VIEWER),
    "MonitoringService.QuerySeries": ("get", "/celery-admin/monitoring/series", Role.VIEWER),
    "MonitoringService.Start": ("post", "/celery-admin/monitoring/start", Role.ADMIN),
    "MonitoringService.Stop": ("post", "/celery-admin/monitoring/stop", Role.ADMIN),
}


def short_name(method: MethodDescriptor) -> str:
    return f"{method.containing_service.name}.{method.name}"


def bindings(method: MethodDescriptor) -> list[tuple[str, str]]:
    """Verb and path of each way to the method by REST."""
    extension: Any = annotations_pb2.http
    rule = method.GetOptions().Extensions[extension]
    rules = [rule, *rule.additional_bindings]
    return [(verb, getattr(one, verb)) for one in rules if (verb := one.WhichOneof("pattern"))]


METHODS = [method for method in methods() if bindings(method)]


@pytest.mark.parametrize("method", METHODS, ids=short_name)
def test_a_path_of_the_admin_api_keeps_its_exact_form(method: MethodDescriptor) -> None:
    given = bindings(method)
    if short_name(method) in ADMIN_PATHS:
        verb, path, least_role = ADMIN_PATHS[short_name(method)]
        assert (verb, path) in given
        assert policy_of(method).least_role == least_role
        given.remove((verb, path))
    assert all(path.startswith("/v1/") for _, path in given), "new paths are resources below /v1/"


@pytest.mark.parametrize("method", METHODS, ids=short_name)
def test_the_verb_says_whether_something_changes(method: MethodDescriptor) -> None:
    for verb, _ in bindings(method):
        if verb == "get":
            assert not policy_of(method).audited, "a GET is fetched ahead, cached and sent again"
        if verb in {"patch", "put", "delete"}:
            assert policy_of(method).audited


def test_no_two_methods_have_one_path() -> None:
    # What stands for a variable matters not to who gets the call: "/v1/{name=runs/*}" is "/v1/runs/*".
    taken = [
        (verb, re.sub(r"\{[^}=]*\}", "*", re.sub(r"\{[^}=]*=([^}]*)\}", r"\1", path)))
        for method in METHODS
        for verb, path in bindings(method)
    ]
    assert len(taken) == len(set(taken))


def test_the_variables_of_a_path_are_fields_of_the_request() -> None:
    for method in METHODS:
        for _, path in bindings(method):
            for variable in re.findall(r"\{([\w.]+)", path):
                kind: Descriptor | None = method.input_type
                for part in variable.split("."):
                    assert kind and part in kind.fields_by_name, f"{method.full_name}: {variable}"
                    kind = kind.fields_by_name[part].message_type
