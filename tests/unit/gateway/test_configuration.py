"""The configuration that is written, without an Envoy to read it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool
from pydantic import ValidationError

from deploy.envoy import GatewaySettings, envoy_command, load_settings, write_gateway_config
from deploy.envoy.__main__ import main
from deploy.envoy.contracts import Method, installed_contracts, methods_of
from deploy.envoy.replies import REFUSALS
from deploy.envoy.routes import REFLECTION
from deploy.envoy.template import Template
from services import ANSWERED_BY, SERVICES, STORING
from services.kernel.identity import Role
from services.kernel.settings import KernelSettings
from tests.support.yaml_text import read_yaml

UPSTREAMS = {service: 50000 + number for number, service in enumerate(STORING)}
METHODS = methods_of(installed_contracts())


@pytest.fixture(scope="module")
def written(certificates: Path, tokens: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gateway")
    return write_gateway_config(
        folder, certificates, 50010, folder / "admin.sock", UPSTREAMS, GatewaySettings()
    )


def virtual_host(config: Path) -> dict[str, Any]:
    listeners = read_yaml(config.read_text())["static_resources"]["listeners"]
    [gateway] = [listener for listener in listeners if listener["name"] == "gateway"]
    manager = gateway["filter_chains"][0]["filters"][0]["typed_config"]
    host: dict[str, Any] = manager["route_config"]["virtual_hosts"][0]
    return host


def test_envoy_takes_it(written: Path) -> None:
    command = [*envoy_command(written), "--mode", "validate"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_every_method_has_its_route_with_the_limit_of_its_policy(written: Path) -> None:
    routes = {route["name"]: route for route in virtual_host(written)["routes"]}
    for method in METHODS:
        route = routes[method.path]
        assert route["match"] == {"path": method.path}
        if method.least_role is Role.SERVICE:
            assert route["direct_response"] == {"status": 403}
            continue
        assert route["route"]["cluster"] == method.service
        limit = route["route"]["max_stream_duration"]["max_stream_duration"]
        assert limit == f"{method.limit_seconds}s"


def gate_of(route: dict[str, Any]) -> set[str]:
    """The roles that a route's gate lets through; "any" for one that lets through everybody."""
    gate = route["typed_per_filter_config"]["envoy.filters.http.rbac"]["rbac"]
    matchers = [
        principal.get("sourced_metadata", {}).get("metadata_matcher")
        for principal in gate["rules"]["policies"]["role"]["principals"]
    ]
    return {
        matcher["value"]["list_match"]["one_of"]["string_match"]["exact"] if matcher else "any"
        for matcher in matchers
    }


def test_a_gate_lets_through_the_roles_that_a_policy_names(written: Path) -> None:
    greatest = {
        Role.VIEWER: {"viewer", "admin", "super_admin"},
        Role.ADMIN: {"admin", "super_admin"},
        Role.SUPER_ADMIN: {"super_admin"},
        None: {"any"},
    }
    routes = {route["name"]: route for route in virtual_host(written)["routes"]}
    for method in METHODS:
        if method.least_role is not Role.SERVICE:
            named = {role.label for role in method.also}
            assert gate_of(routes[method.path]) == greatest[method.least_role] | named
    # Any token that is good for something may read the contracts.
    assert gate_of(routes[REFLECTION]) == {"viewer", "writer", "admin", "super_admin"}


def test_a_role_beside_the_order_is_let_through_where_it_is_named_alone() -> None:
    names = [Role.ADMIN, Role.SUPER_ADMIN]
    assert Method("/a/B", "scheduler", Role.ADMIN, 15).roles == names
    assert Method("/a/B", "scheduler", Role.ADMIN, 15, also=frozenset({Role.WRITER})).roles == [
        *names,
        Role.WRITER,
    ]


def test_every_route_to_a_method_says_who_may(written: Path) -> None:
    for route in virtual_host(written)["routes"]:
        if route["name"] != "rest":
            assert "envoy.filters.http.rbac" in route["typed_per_filter_config"]


def test_the_last_route_takes_what_is_unknown_and_refuses_it(written: Path) -> None:
    last = virtual_host(written)["routes"][-1]
    assert (last["match"], last["direct_response"]) == ({"prefix": "/"}, {"status": 404})


def test_the_descriptors_are_whole(written: Path) -> None:
    content = (written.parent / "celeriac.binpb").read_bytes()
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(content).file:
        # Each after what it imports, or this raises.
        pool.Add(file)
    for method in METHODS:
        assert method.path.rpartition("/")[2] in pool.FindServiceByName(method.grpc_service).methods_by_name
    # Without it a service's details could not be told by REST.
    assert "field_violations" in pool.FindMessageTypeByName("google.rpc.BadRequest").fields_by_name


def test_every_package_of_the_contracts_has_a_service_that_answers() -> None:
    assert set(ANSWERED_BY.values()) == set(SERVICES)
    assert {method.service for method in METHODS} <= set(SERVICES)


def test_a_missing_upstream_is_named(certificates: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="upstreams lacks audit, monitor; for example: 'audit': 8445"):
        write_gateway_config(
            tmp_path, certificates, 1, tmp_path / "admin.sock", {"scheduler": 3, "embedder": "host:4"}
        )


def test_an_upstream_may_be_elsewhere(certificates: Path, tmp_path: Path) -> None:
    upstreams = UPSTREAMS | {"audit": "audit.example.com:443"}
    config = read_yaml(
        write_gateway_config(tmp_path, certificates, 1, tmp_path / "admin.sock", upstreams).read_text()
    )
    [audit] = [each for each in config["static_resources"]["clusters"] if each["name"] == "audit"]
    endpoint = audit["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]
    assert endpoint["address"]["socket_address"] == {"address": "audit.example.com", "port_value": 443}


def test_whatever_goes_to_the_door_is_kept_until_it_is_whole_or_is_a_socket_with_bounds_of_its_own(
    certificates: Path, tmp_path: Path
) -> None:
    upstreams = UPSTREAMS | {"door": 50020}
    written = write_gateway_config(tmp_path, certificates, 1, tmp_path / "admin.sock", upstreams)
    to_door = [
        route for route in virtual_host(written)["routes"] if route.get("route", {}).get("cluster") == "door"
    ]
    assert {route["name"] for route in to_door} == {"door", "live"}
    for route in to_door:
        kept = "envoy.filters.http.buffer" in route["typed_per_filter_config"]
        assert kept != (route["route"].get("priority") == "HIGH")
    clusters = read_yaml(written.read_text())["static_resources"]["clusters"]
    [door] = [cluster for cluster in clusters if cluster["name"] == "door"]
    most = {
        bounds.get("priority", "DEFAULT"): bounds["max_connections"]
        for bounds in door["circuit_breakers"]["thresholds"]
    }
    assert most == {"DEFAULT": 256, "HIGH": 10000}


def test_a_place_of_the_template_without_a_value_is_an_error() -> None:
    with pytest.raises(KeyError, match="service"):
        Template().fill("rest", prefix="/v1/", not_rest="application/grpc")


def test_a_refusal_tells_one_thing_by_one_reason() -> None:
    for refusal in REFUSALS:
        # In gRPC the message is a header: ASCII, without "%", as it would be escaped.
        assert refusal.message.isascii()
        assert "%" not in refusal.message
        same = [other for other in REFUSALS if other.reason == refusal.reason]
        assert len({other.code for other in same}) == 1


@pytest.mark.parametrize(
    ("variable", "value", "example"),
    [
        ("CELERIAC_GATEWAY_RATE", "0", "200"),
        ("CELERIAC_GATEWAY_BURST", "many", "1000"),
        ("CELERIAC_GATEWAY_CORS_ORIGINS", "https://a.example,*", "https://ops.example.com"),
        ("CELERIAC_GATEWAY_ALLOW", "10.0.0.0/99", "10.0.0.0/8"),
        ("CELERIAC_GATEWAY_MAX_REQUEST_BYTES", "1", "8388608"),
    ],
)
def test_a_wrong_setting_is_named_with_an_example(
    variable: str, value: str, example: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SystemExit) as stopped:
        load_settings()
    assert f"{variable}: " in str(stopped.value)
    assert f"for example: {variable}={example}" in str(stopped.value)


def test_lists_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CELERIAC_GATEWAY_CORS_ORIGINS", "https://a.example, http://localhost:5173")
    monkeypatch.setenv("CELERIAC_GATEWAY_ALLOW", "10.0.0.0/8,::1")
    settings = load_settings()
    assert settings.cors_origins == ("https://a.example", "http://localhost:5173")
    assert [str(network) for network in settings.allowed_sources] == ["10.0.0.0/8", "::1/128"]


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError):
        GatewaySettings().rate = 3  # type: ignore[misc]


def test_the_admin_page_is_a_socket_of_its_owners_alone(written: Path) -> None:
    admin = read_yaml(written.read_text())["admin"]
    assert admin["address"] == {"pipe": {"path": str(written.parent / "admin.sock"), "mode": 0o600}}


def test_a_socket_path_that_is_too_long_is_refused(certificates: Path, tmp_path: Path) -> None:
    socket = tmp_path / ("x" * 100) / "admin.sock"
    with pytest.raises(ValueError, match=r"longer than 107 bytes; for example: /run/celeriac/admin\.sock"):
        write_gateway_config(tmp_path, certificates, 1, socket, UPSTREAMS)


def clusters_of(config: Path) -> dict[str, dict[str, Any]]:
    clusters = read_yaml(config.read_text())["static_resources"]["clusters"]
    return {cluster["name"]: cluster for cluster in clusters}


def addresses_of(cluster: dict[str, Any]) -> list[str]:
    [locality] = cluster["load_assignment"]["endpoints"]
    found = [one["endpoint"]["address"]["socket_address"] for one in locality["lb_endpoints"]]
    return [f"{address['address']}:{address['port_value']}" for address in found]


def seconds(duration: str) -> float:
    return float(duration.removesuffix("s"))


def test_a_replica_that_drains_serves_on_until_the_gateway_has_noticed(written: Path) -> None:
    drain = KernelSettings.model_fields["drain"].default
    clusters = clusters_of(written)
    for service in STORING:
        [check] = clusters[service]["health_checks"]
        # Those that are not set are these.
        assert {"interval", "no_traffic_interval"} <= check.keys()
        slowest = max(seconds(value) for name, value in check.items() if name.endswith("interval"))
        assert slowest * check["unhealthy_threshold"] + seconds(check["timeout"]) < drain


def test_the_gateway_repeats_only_calls_that_reached_no_service(written: Path) -> None:
    config = read_yaml(written.read_text())
    policies = list(values_of(config, "retry_policy"))
    assert policies
    for policy in policies:
        assert set(policy["retry_on"].split(",")) <= {"connect-failure", "refused-stream"}
        assert policy["retry_host_predicate"]
    assert not list(values_of(config, "hedge_policy"))


def values_of(node: Any, name: str) -> Iterator[Any]:
    """All values under that key, at any depth."""
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in children:
        if key == name:
            yield value
        yield from values_of(value, name)


def written_by_command(arguments: list[str], state: Path, folder: Path, **environment: str) -> Path:
    command = [sys.executable, "-m", "deploy.envoy", "--folder", str(folder), "--state", str(state)]
    done = subprocess.run(
        [*command, *arguments], env={**os.environ, **environment}, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())


def test_a_service_may_have_several_replicas(certificates: Path, tmp_path: Path) -> None:
    named = ["scheduler=10.0.0.5:50051,10.0.0.6:50052", "monitor=monitor.internal:1", "monitor=[fd00::2]:2"]
    config = written_by_command(
        [part for each in named for part in ("--upstream", each)],
        certificates,
        tmp_path,
        CELERIAC_SCHEDULER_ADDRESS="replaced:1",
        CELERIAC_AUDIT_ADDRESS="10.0.0.7:50051,10.0.0.8:50051",
        CELERIAC_EMBEDDER_ADDRESS="embedder.internal:50051",
    )
    clusters = clusters_of(config)
    assert addresses_of(clusters["scheduler"]) == ["10.0.0.5:50051", "10.0.0.6:50052"]
    assert addresses_of(clusters["monitor"]) == ["monitor.internal:1", "fd00::2:2"]
    assert addresses_of(clusters["audit"]) == ["10.0.0.7:50051", "10.0.0.8:50051"]
    assert addresses_of(clusters["embedder"]) == ["embedder.internal:50051"]


@pytest.mark.parametrize("upstream", ["schedule=a:1", "scheduler=a", "scheduler=a:1,", "scheduler=a:b"])
def test_a_wrong_upstream_is_refused_with_an_example(
    upstream: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    arguments = ["deploy.envoy", "--folder", str(tmp_path), "--state", str(tmp_path), "--upstream", upstream]
    monkeypatch.setattr(sys, "argv", arguments)
    with pytest.raises(SystemExit, match=r"for example: scheduler=10\.0\.0\.5:50051,10\.0\.0\.6:50051"):
        main()
