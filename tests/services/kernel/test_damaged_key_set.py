"""A service whose key set of tokens is damaged while it runs: calls go on, and no token is in its log."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from celeriac.scheduler.v1 import schedules_pb2, schedules_pb2_grpc

from deploy.standalone.tokens import LocalIssuer
from tests.support.calls import Caller
from tests.support.processes import environment_of, running_service
from tests.support.servers import Valkey


def test_calls_go_on_with_the_last_good_keys_and_one_line_of_the_log_names_the_file_and_the_fault(
    certificates: Path, tokens: LocalIssuer, database_url: str, valkey: Valkey, tmp_path: Path
) -> None:
    key_set = tmp_path / "jwks.json"
    shutil.copy(tokens.key_set, key_set)
    environment = environment_of("scheduler", certificates, database_url, valkey, CELERIAC_JWKS=str(key_set))
    minted = [tokens.mint("admin", subject=f"mei-{number}") for number in range(4)]
    with running_service("scheduler", certificates, environment) as service, service.channel() as channel:

        def call(token: str) -> None:
            stub = Caller(schedules_pb2_grpc.ScheduleServiceStub(channel), token)
            stub.ListSchedules(schedules_pb2.ListSchedulesRequest())

        call(minted[0])
        key_set.write_bytes(b'{"keys": [')
        call(minted[1])
        call(minted[2])
        shutil.copy(tokens.key_set, key_set)
        call(minted[3])
        log = service.log()
    [line] = [line for line in map(json.loads, log.splitlines()) if line["event"] == "tokens.keys_not_read"]
    assert line["file"] == str(key_set)
    assert "JSONDecodeError: Expecting value: line 1 column 11" in line["fault"]
    for token in minted:
        header, payload, signature = token.split(".")
        assert not [part for part in (payload[:40], payload[-40:], signature[:40]) if part in log]
        assert token[: len(header) + 8] not in log
