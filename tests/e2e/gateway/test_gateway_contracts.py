"""Every method of the contracts is at the gateway, by gRPC and by its REST paths."""

from __future__ import annotations

import re
import uuid

import grpc
import pytest

from deploy.envoy.contracts import Method, installed_contracts, methods_of
from services.kernel.identity import Role
from tests.support.calls import refused
from tests.support.gateway import Gateway

METHODS = methods_of(installed_contracts())
REST = [(verb, pattern, method) for method in METHODS for verb, pattern in method.rest]
Code = grpc.StatusCode


def an_example_of(pattern: str) -> str:
    """ "/v1/{name=schedules/*}:pause" becomes "/v1/schedules/x:pause"."""
    named = re.sub(r"\{[^=}]+=([^}]+)\}", r"\1", pattern)
    return re.sub(r"\{[^}]+\}|\*", "x", named)


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.path)
def test_a_method_asks_for_what_its_policy_says(method: Method, gateway: Gateway) -> None:
    with gateway.channel() as channel:
        code, _ = refused(lambda request: channel.unary_unary(method.path)(request, timeout=10), b"")
    if method.least_role is Role.SERVICE:
        assert code is Code.PERMISSION_DENIED
    elif method.least_role is None:
        # Public, and let through: only scheduler and audit run behind this gateway, and have no such method.
        assert code is Code.UNAVAILABLE
    else:
        assert code is Code.UNAUTHENTICATED


@pytest.mark.parametrize(("verb", "pattern", "method"), REST, ids=lambda value: str(value)[:90])
def test_a_rest_path_reaches_its_method(verb: str, pattern: str, method: Method, gateway: Gateway) -> None:
    request_id = uuid.uuid4().hex
    body = b"{}" if verb in {"POST", "PUT", "PATCH"} else None
    answer = gateway.request(verb, an_example_of(pattern), body, x_request_id=request_id)
    assert answer.status == (503 if method.least_role is None else 401), answer
    [line] = gateway.logged(request_id)
    assert line["method"] == method.path
