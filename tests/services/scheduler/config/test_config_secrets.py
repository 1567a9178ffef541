"""Secrets: sealed at rest, shown to services and to few people; their keys are rotated."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import grpc
from celeriac.scheduler.v1 import config_pb2 as pb
from celeriac.scheduler.v1 import config_pb2_grpc

from deploy.standalone.certificates import COMPONENTS
from deploy.standalone.tokens import LocalIssuer
from tests.support.calls import Caller, fields_at_fault, refused
from tests.support.configurations import CHUNKS, get, put, set_secret
from tests.support.kept_logs import keep_text
from tests.support.processes import ROOT, ServiceProcess
from tests.support.secrets_in_logs import canary
from tests.support.sql import fetch_sync

Code = grpc.StatusCode


def run_command(command: str, environment: Mapping[str, str]) -> str:
    ran = subprocess.run(
        [sys.executable, "-m", "services.scheduler", command],
        env=dict(environment),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    keep_text(f"scheduler-{command}", ran.stderr)
    return ran.stderr


def with_second_factor(tokens: LocalIssuer, role: str = "super_admin", **claims: Any) -> str:
    shown = {"amr": ["pwd", "otp"], "auth_time": int(time.time()), **claims}
    return tokens.mint(role, subject="lin", **shown)


def test_a_secret_is_shown_by_none_of_the_ordinary_ways(
    config: Any, service: ServiceProcess, database_url: str
) -> None:
    secret = canary()
    stream = config.WatchConfig(pb.WatchConfigRequest(prefixes=["secrets."]))
    next(stream)
    made = set_secret(config, secret)
    assert (made.is_set, made.sensitive, made.HasField("value")) == (True, True, False)
    told = next(response for response in stream if response.configs)
    stream.cancel()
    revisions = config.ListConfigRevisions(pb.ListConfigRevisionsRequest(name=made.name))
    answers = [made, told, get(config, made.name), config.ListConfig(pb.ListConfigRequest()), revisions]
    assert secret not in "".join(map(str, answers))
    assert secret not in service.log()
    stored = fetch_sync(database_url, "SELECT to_jsonb(c) FROM celery_system_config c")
    stored += fetch_sync(database_url, "SELECT to_jsonb(r) FROM celery_system_config_revisions r")
    assert secret not in str(stored)
    outbox = "SELECT convert_from(entry, 'UTF8') AS entry FROM audit_outbox_scheduler"
    entries = fetch_sync(database_url, outbox)
    about = [row["entry"] for row in entries if made.name in row["entry"]]
    assert about, "the change is in the audit outbox"
    assert secret not in str(entries)


def test_a_secret_given_with_a_faulty_request_is_not_echoed(config: Any) -> None:
    given = canary()
    request = pb.SetConfigRequest(name="config/secrets.a", value={"string_value": given * 200})
    _, message = refused(config.SetConfig, request)
    assert given not in message


def test_a_service_reads_a_secret_by_its_certificate(config: Any, worker: Any) -> None:
    made = set_secret(config, "密碼 with spaces")
    answer = worker.ReadSecret(pb.ReadSecretRequest(name=made.name))
    assert (answer.value, answer.revision) == ("密碼 with spaces", made.revision)
    code, _ = refused(config.ReadSecret, pb.ReadSecretRequest(name=made.name))
    assert code is Code.PERMISSION_DENIED


def test_no_other_certificate_reads_a_secret(config: Any, service: ServiceProcess) -> None:
    made = set_secret(config, canary())
    for component in COMPONENTS:
        with service.channel(component) as channel:
            stub = config_pb2_grpc.ConfigServiceStub(channel)
            if component != "tasks":
                code, _ = refused(stub.ReadSecret, pb.ReadSecretRequest(name=made.name))
                assert code is (Code.UNAUTHENTICATED if component == "gateway" else Code.PERMISSION_DENIED)


def test_a_secret_that_is_reset_is_gone_and_can_be_rolled_back_to(config: Any, worker: Any) -> None:
    made = set_secret(config, "first")
    set_secret(config, "second", made.name)
    config.ResetConfig(pb.ResetConfigRequest(name=made.name))
    for call, request in (
        (config.GetConfig, pb.GetConfigRequest(name=made.name)),
        (worker.ReadSecret, pb.ReadSecretRequest(name=made.name)),
    ):
        assert refused(call, request)[0] is Code.NOT_FOUND
    assert made.name not in {one.name for one in config.ListConfig(pb.ListConfigRequest()).configs}
    config.RollbackConfig(pb.RollbackConfigRequest(name=made.name, revision=made.revision))
    assert worker.ReadSecret(pb.ReadSecretRequest(name=made.name)).value == "first"


def test_a_person_needs_a_fresh_second_factor_to_see_a_secret(
    config: Any, service: ServiceProcess, tokens: LocalIssuer, database_url: str
) -> None:
    made = set_secret(config, "shown to few")
    stale = int(time.time()) - 700
    refusals = {
        tokens.mint("super_admin"): "second factor",
        with_second_factor(tokens, amr=["pwd"]): "second factor",
        with_second_factor(tokens, auth_time=stale): "second factor",
        with_second_factor(tokens, auth_time=None): "second factor",
        with_second_factor(tokens, auth_time=int(time.time()) + 3600): "second factor",
        with_second_factor(tokens, "admin"): "super_admin",
    }
    request = pb.RevealConfigRequest(name=made.name)
    with service.channel() as channel:
        stub = config_pb2_grpc.ConfigServiceStub(channel)
        for token, words in refusals.items():
            code, message = refused(Caller(stub, token).RevealConfig, request)
            assert code is Code.PERMISSION_DENIED
            assert words in message
        answer = Caller(stub, with_second_factor(tokens)).RevealConfig(request)
        assert answer.value == "shown to few"
        plain = pb.RevealConfigRequest(name=CHUNKS)
        code, _ = refused(Caller(stub, with_second_factor(tokens)).RevealConfig, plain)
        assert code is Code.FAILED_PRECONDITION
    entries = [
        json.loads(bytes(row["entry"]))
        for row in fetch_sync(database_url, "SELECT entry FROM audit_outbox_scheduler ORDER BY seq")
    ]
    about = [one for one in entries if one.get("resource") == made.name and "Reveal" in one["method"]]
    assert [one["kind"] for one in about] == ["refusal"] * len(refusals) + ["intent"]
    assert about[-1]["actor"] == "lin"


def test_a_service_can_not_reveal_what_only_a_person_may(config: Any, worker: Any) -> None:
    made = set_secret(config, "x")
    code, message = refused(worker.RevealConfig, pb.RevealConfigRequest(name=made.name))
    assert code is Code.PERMISSION_DENIED
    assert "does not name the service tasks among its callers" in message
    assert "the role super_admin" in message


def test_keys_are_rotated_while_the_scheduler_runs(
    config: Any, worker: Any, environment: dict[str, str], key_file: Path, database_url: str
) -> None:
    made = [set_secret(config, f"value {number}") for number in range(3)]
    old = json.loads(key_file.read_text())["keys"][-1]["id"]
    assert "keys.added" in run_command("new-key", environment)
    newest = json.loads(key_file.read_text())["keys"][-1]["id"]
    assert key_file.stat().st_mode & 0o777 == 0o600
    during = set_secret(config, "value 3")
    wrapping = (
        "SELECT DISTINCT sealed ->> 'key' AS key FROM celery_system_config_revisions WHERE sealed IS NOT NULL"
    )
    assert {row["key"] for row in fetch_sync(database_url, wrapping)} == {old, newest}
    assert "keys.rotated" in run_command("rotate-keys", environment)
    assert {row["key"] for row in fetch_sync(database_url, wrapping)} == {newest}
    # The old key is not needed any more.
    kept = [key for key in json.loads(key_file.read_text())["keys"] if key["id"] == newest]
    key_file.write_text(json.dumps({"keys": kept}))
    for number, one in enumerate([*made, during]):
        assert worker.ReadSecret(pb.ReadSecretRequest(name=one.name)).value == f"value {number}"


def test_a_value_moved_to_another_key_does_not_open(config: Any, worker: Any, database_url: str) -> None:
    mine, theirs = set_secret(config, "mine"), set_secret(config, "theirs")
    fetch_sync(
        database_url,
        "UPDATE celery_system_config_revisions SET sealed ="
        " (SELECT sealed FROM celery_system_config_revisions WHERE revision = $1) WHERE revision = $2",
        theirs.revision,
        mine.revision,
    )
    code, message = refused(worker.ReadSecret, pb.ReadSecretRequest(name=mine.name))
    assert code is Code.FAILED_PRECONDITION
    assert "encrypted value" in message


def test_a_secret_of_a_name_that_none_can_have_is_refused_by_its_name(config: Any) -> None:
    for name in ("secrets.密碼", "secrets.SMTP", "secrets.", "secrets." + "a" * 101):
        wanted = pb.SetConfigRequest(name=f"config/{name}", value=pb.ConfigValue(string_value="x"))
        assert fields_at_fault(config.SetConfig, wanted) == ["name"]
        assert fields_at_fault(config.GetConfig, pb.GetConfigRequest(name=f"config/{name}")) == ["name"]


def test_without_encryption_keys_everything_but_secrets_can_be_set(
    certificates: Path, tokens: LocalIssuer, environment: dict[str, str]
) -> None:
    without = {name: value for name, value in environment.items() if name != "CELERIAC_CONFIG_KEYS"}
    process = ServiceProcess("scheduler", certificates, without)
    process.start()
    try:
        with process.channel() as channel:
            config = Caller(config_pb2_grpc.ConfigServiceStub(channel), tokens.mint("admin"))
            put(config, CHUNKS, pb.ConfigValue(int_value=17_000))
            for check in (False, True):
                request = pb.SetConfigRequest(
                    name="config/secrets.b", value={"string_value": "x"}, validate_only=check
                )
                code, message = refused(config.SetConfig, request)
                assert code is Code.FAILED_PRECONDITION
                assert "CELERIAC_CONFIG_KEYS" in message
    finally:
        process.stop()
