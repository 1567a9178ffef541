"""The block of ports, and settings that a person got wrong."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from deploy.sockets import LONGEST_SOCKET_PATH
from deploy.standalone.ports import BLOCK, Ports, refuse_taken
from deploy.standalone.settings import (
    POSTGRES_SOCKET,
    StandaloneSettings,
    load_settings,
    make_private_folder,
)
from services import DOOR, SERVICES
from tests.support.system import free_block


def test_one_setting_moves_the_whole_block() -> None:
    ports = Ports(8443)
    assert ports.valkey == 8444
    assert [ports.of(service) for service in SERVICES] == [8445, 8446, 8447, 8448]
    assert [ports.metrics_of(service) for service in SERVICES] == [8449, 8450, 8451, 8452]
    assert ports.relay_metrics == 8453
    assert (ports.of(DOOR), ports.metrics_of(DOOR)) == (8454, 8455)
    assert sorted(ports.all()) == list(range(8443, 8443 + BLOCK))


def test_two_copies_share_no_port_and_no_folder() -> None:
    one, other = StandaloneSettings(), StandaloneSettings(gateway_port=9443, state=Path(".celeriac-2"))
    assert not Ports(one.gateway_port).all().keys() & Ports(other.gateway_port).all().keys()
    assert one.socket_folder != other.socket_folder


def test_a_taken_port_is_named_with_its_holder_and_the_setting() -> None:
    ports = Ports(free_block())
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", ports.of("monitor")))
        taken.listen()
        with pytest.raises(SystemExit) as refused:
            refuse_taken(ports)
    told = str(refused.value)
    assert f"port {ports.of('monitor')} (monitor) on 127.0.0.1 is taken by process {os.getpid()}" in told
    assert "make up CELERIAC_GATEWAY_PORT=" in told
    refuse_taken(ports)


@pytest.mark.parametrize(
    ("variable", "value", "fault"),
    [
        ("CELERIAC_GATEWAY_PORT", "https", "valid integer"),
        ("CELERIAC_GATEWAY_PORT", "65530", "less than or equal to 65523"),
        ("CELERIAC_TIME_ZONE", "Taipei", "'Taipei' is not a zone of the IANA database"),
        ("CELERY_LOG_LEVEL", "LOUD", "'DEBUG', 'INFO'"),
    ],
)
def test_a_wrong_value_is_told_by_name_with_an_example(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, fault: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SystemExit) as refused:
        load_settings()
    assert fault in str(refused.value)
    assert f"for example: {variable}=" in str(refused.value)


def test_a_relative_state_folder_is_one_of_this_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CELERIAC_STATE_DIR", "some/where")
    assert load_settings().state == Path.cwd() / "some/where"


def test_the_socket_of_a_deep_state_folder_is_elsewhere_and_short() -> None:
    near = StandaloneSettings(state=Path("/srv/celeriac"))
    assert near.socket_folder == Path("/srv/celeriac/run/postgres")
    assert near.admin_socket == Path("/srv/celeriac/run/envoy/admin.sock")
    deep, deeper = (StandaloneSettings(state=Path("/srv") / ("x" * length)) for length in (120, 121))
    assert len(str(deep.socket_folder / POSTGRES_SOCKET)) <= LONGEST_SOCKET_PATH
    assert len(str(deep.admin_socket)) <= LONGEST_SOCKET_PATH
    # Where root runs the system, one folder is PostgreSQL's user's and the other is root's.
    assert deep.socket_folder != deep.admin_socket.parent
    assert deep.socket_folder != deeper.socket_folder
    assert deep.admin_socket != deeper.admin_socket


def test_a_folder_that_somebody_else_made_is_not_used(tmp_path: Path) -> None:
    make_private_folder(tmp_path / "ours", os.getuid())
    assert (tmp_path / "ours").stat().st_mode & 0o777 == 0o700
    (tmp_path / "link").symlink_to(tmp_path / "ours")
    with pytest.raises(SystemExit, match="belongs to somebody else"):
        make_private_folder(tmp_path / "link", os.getuid())
