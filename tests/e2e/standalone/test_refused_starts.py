"""A start that can't succeed: why is the last thing that is said, and nothing is left behind."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.support.servers import temporary_valkey
from tests.support.system import System


def test_a_start_that_fails_tells_why_last_in_full_and_under_no_name(tmp_path: Path) -> None:
    data = tmp_path / "state/postgres"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("9\n")
    told = System(tmp_path / "state").run("up")
    assert told.returncode == 1
    last = told.stdout.splitlines()[-1]
    assert last.startswith(f"the start failed: database folder: {data} is of PostgreSQL 9")
    assert last.endswith("dump it with the old one")


@pytest.mark.parametrize("variable", ["CELERIAC_BROKER_URL", "CELERIAC_RELAY_URL"])
def test_a_wrong_password_of_a_broker_is_told_before_anything_is_made(tmp_path: Path, variable: str) -> None:
    with temporary_valkey() as broker:
        url = f"redis://nobody:wrong-one@{broker.host}:{broker.port}/0"
        told = System(tmp_path / "state").run("up", **{variable: url})
    assert told.returncode == 1
    assert "\n" not in told.stderr.strip()
    assert f"{broker.host}:{broker.port} of {variable} can't be used: " in told.stderr
    assert "invalid username-password pair" in told.stderr
    assert f"for example: {variable}=redis://" in told.stderr
    assert "wrong-one" not in told.stderr + told.stdout
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize(
    "given",
    [
        {"CELERIAC_BROKER_URL": "redis://127.0.0.1:1/0"},
        {"DATABASE_URL": "postgresql://login:password@127.0.0.1:1/shop"},
    ],
    ids=lambda given: next(iter(given)),
)
def test_a_server_that_is_away_leaves_no_folder(tmp_path: Path, given: dict[str, str]) -> None:
    told = System(tmp_path / "state").run("up", **given)
    assert told.returncode == 1
    assert f"of {next(iter(given))} can't be used: " in told.stderr
    assert not (tmp_path / "state").exists()


def test_a_port_that_is_taken_leaves_no_folder(tmp_path: Path) -> None:
    copy = System(tmp_path / "state")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", copy.port))
        taken.listen()
        told = copy.run("up")
    assert told.returncode == 1
    assert f"port {copy.port} (gateway) on 127.0.0.1 is taken by process" in told.stderr
    assert not copy.state.exists()
