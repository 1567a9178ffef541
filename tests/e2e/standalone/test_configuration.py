"""The live configuration of the whole system: followed by all its processes; secrets, and their keys."""

from __future__ import annotations

import json
import time
import urllib.request
import uuid
from typing import Any

import asyncpg
import grpc
import pyotp
import pytest
from celeriac.scheduler.v1 import config_pb2 as pb
from celeriac.scheduler.v1 import config_pb2_grpc

from services import SERVICES
from tests.support.calls import eventually, refused
from tests.support.secrets_in_logs import canary
from tests.support.sql import fetch_sync
from tests.support.system import System

# A start from nothing, on a machine with other work.
pytestmark = pytest.mark.timeout(400)

SECRET = "configs/secrets.smtp.password"
VALUE = canary()


def config_of(channel: grpc.Channel) -> Any:
    return config_pb2_grpc.ConfigServiceStub(channel)


def put(system: System, name: str, **value: Any) -> pb.Config:
    with system.channel() as channel:
        request = pb.SetConfigRequest(name=name, value=pb.ConfigValue(**value))
        made: pb.Config = config_of(channel).SetConfig(request, timeout=30).config
        return made


def revision_in_force(system: System, service: str) -> int:
    port = system.ports.metrics_of(service)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    [found] = [line for line in lines if line.startswith("celeriac_config_revision ")]
    return int(float(found.split()[1]))


def test_a_change_reaches_every_service(system: System) -> None:
    revision = put(system, "configs/logging.level", string_value="WARNING").revision
    for service in SERVICES:
        eventually(lambda: revision_in_force(system, service) >= revision, 5)  # noqa: B023
    with system.channel() as channel:
        reset = config_of(channel).ResetConfig(
            pb.ResetConfigRequest(name="configs/logging.level"), timeout=30
        )
    assert not reset.config.is_set


def test_a_secret_is_shown_to_whoever_has_the_authenticator_and_its_key_is_rotated(system: System) -> None:
    put(system, SECRET, string_value=VALUE)
    keys = system.state / "keys/config-keys.json"
    before = [key["id"] for key in json.loads(keys.read_text())["keys"]]
    rotated = system.run("rotate-keys")
    assert rotated.returncode == 0, rotated.stderr
    assert [key["id"] for key in json.loads(keys.read_text())["keys"]][:-1] == before

    authenticator = pyotp.parse_uri(system.run("enrol").stdout.strip())
    assert isinstance(authenticator, pyotp.TOTP)
    code = authenticator.at(int(time.time()))
    token = system.run("token", "super_admin", "--otp", code).stdout.strip()
    again = system.run("token", "super_admin", "--otp", code)
    assert (again.returncode != 0, again.stdout, "counts once" in again.stderr) == (True, "", True)

    request = pb.RevealConfigRequest(name=SECRET)
    with system.channel("super_admin") as channel:
        status, message = refused(lambda one: config_of(channel).RevealConfig(one, timeout=30), request)
    assert status is grpc.StatusCode.PERMISSION_DENIED
    assert "second factor" in message
    credentials = grpc.access_token_call_credentials(token)
    with system.channel("") as channel:
        answer = config_of(channel).RevealConfig(request, credentials=credentials, timeout=30)
    assert answer.value == VALUE


def test_nothing_of_a_secret_is_in_any_log(system: System) -> None:
    value = canary()
    put(system, SECRET, string_value=value)
    logs = "".join(path.read_text(errors="replace") for path in (system.state / "logs").rglob("*.log*"))
    assert "rpc.answered" in logs
    assert value not in logs


def test_a_row_that_postgres_refuses_is_not_in_its_log(system: System) -> None:
    value, table = canary(), f"refuses_{uuid.uuid4().hex[:8]}"
    fetch_sync(system.database_url, f"CREATE TABLE {table} (name text PRIMARY KEY, n int CHECK (n > 0))")
    insert = f"INSERT INTO {table} VALUES ($1, $2)"
    fetch_sync(system.database_url, insert, value, 1)
    for n in (1, 0):
        with pytest.raises(asyncpg.IntegrityConstraintViolationError, match=table):
            fetch_sync(system.database_url, insert, value, n)
    log = system.state / "logs" / "postgres.log"
    eventually(lambda: f"{table}_pkey" in log.read_text() and f"{table}_n_check" in log.read_text())
    assert value not in log.read_text()
    fetch_sync(system.database_url, f"DROP TABLE {table}")


def test_keys_are_rotated_only_where_the_system_runs(tmp_path: Any) -> None:
    ran = System(tmp_path / "state").run("rotate-keys")
    assert ran.returncode != 0
    assert "nothing runs" in ran.stderr
