"""Whatever goes wrong inside a change of a secret: the log tells what it was, and not the secret."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from celeriac.scheduler.v1 import config_pb2 as pb

from tests.support.calls import refused
from tests.support.configurations import set_secret
from tests.support.processes import ServiceProcess
from tests.support.secrets_in_logs import canary
from tests.support.sql import fetch_sync

REVISIONS = "celery_system_config_revisions"


@contextmanager
def without_right_to_write(database_url: str, _: Path) -> Iterator[None]:
    """The role may add no revisions: the last statement of the change fails."""
    fetch_sync(database_url, f"REVOKE INSERT ON {REVISIONS} FROM celeriac_scheduler")
    try:
        yield
    finally:
        fetch_sync(database_url, f"GRANT INSERT ON {REVISIONS} TO celeriac_scheduler")


@contextmanager
def with_a_check_that_fails(database_url: str, _: Path) -> Iterator[None]:
    """PostgreSQL's DETAIL then holds the row that it refuses."""
    fetch_sync(database_url, f"ALTER TABLE {REVISIONS} ADD CONSTRAINT shut CHECK (false) NOT VALID")
    try:
        yield
    finally:
        fetch_sync(database_url, f"ALTER TABLE {REVISIONS} DROP CONSTRAINT shut")


@contextmanager
def with_a_damaged_key_file(_: str, key_file: Path) -> Iterator[None]:
    good = key_file.read_bytes()
    key_file.write_bytes(good[:-20])
    try:
        yield
    finally:
        key_file.write_bytes(good)


@pytest.mark.parametrize(
    ("fault", "exception", "words"),
    [
        (without_right_to_write, "InsufficientPrivilegeError", f"permission denied for table {REVISIONS}"),
        (with_a_check_that_fails, "CheckViolationError", "shut"),
        (with_a_damaged_key_file, "WrongKeyFile", "config-keys.json is not a key file"),
    ],
)
def test_an_exception_deep_inside_is_logged_without_the_secret(
    config: Any,
    service: ServiceProcess,
    database_url: str,
    key_file: Path,
    fault: Any,
    exception: str,
    words: str,
) -> None:
    secret, comment = canary("secret"), canary("comment")
    name = f"configs/secrets.s-{uuid.uuid4().hex[:8]}"
    request = pb.SetConfigRequest(name=name, value={"string_value": secret}, comment=comment)
    with fault(database_url, key_file):
        code, message = refused(config.SetConfig, request)
    assert code is grpc.StatusCode.INTERNAL
    incident = message.rpartition(" ")[2]
    written = service.log()
    [line] = [line for line in written.splitlines() if incident in line]
    assert (written.count(secret), written.count(comment)) == (0, 0)
    [story, *_] = json.loads(line)["exception"]
    assert story["exc_type"].endswith(exception)
    assert words in story["exc_value"]
    assert any(frame["filename"].endswith("config/change.py") for frame in story["frames"])
    assert set_secret(config, secret).is_set, "and afterwards it goes through"
