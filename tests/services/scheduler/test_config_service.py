"""ConfigService as a process: set, refused, rolled back, watched; secrets sealed, shown, keys rotated."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import asyncpg
import grpc
import pytest
from celeriac.scheduler.v1 import config_pb2 as pb
from celeriac.scheduler.v1 import config_pb2_grpc

from deploy.standalone.tokens import LocalIssuer
from services.scheduler.encryption import add_key
from tests.support.calls import Caller, eventually, fields_at_fault, refused
from tests.support.processes import ROOT, ServiceProcess, environment_of, running_service
from tests.support.servers import Valkey

Code = grpc.StatusCode
TASKS = "config/monitor.tasks.retention"
CHUNKS = "config/embedder.rebuild.chunk_characters"
WAITING = "config/embedder.online.most_waiting_tokens"
DAY = 86_400


@pytest.fixture(scope="module")
def key_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("keys") / "config-keys.json"
    add_key(path)
    return path


@pytest.fixture(scope="module")
def environment(
    certificates: Path, tokens: LocalIssuer, database_url: str, valkey: Valkey, key_file: Path
) -> dict[str, str]:
    return environment_of("scheduler", certificates, database_url, valkey, CELERIAC_CONFIG_KEYS=str(key_file))


@pytest.fixture(scope="module")
def service(certificates: Path, environment: dict[str, str]) -> Iterator[ServiceProcess]:
    with running_service("scheduler", certificates, environment) as process:
        yield process


@pytest.fixture
def config(service: ServiceProcess, tokens: LocalIssuer) -> Iterator[Any]:
    with service.channel() as channel:
        yield Caller(config_pb2_grpc.ConfigServiceStub(channel), tokens.mint("admin", subject="mei"))


@pytest.fixture
def worker(service: ServiceProcess) -> Iterator[Any]:
    """A caller that shows a worker's certificate."""
    with service.channel("worker") as channel:
        yield config_pb2_grpc.ConfigServiceStub(channel)


def span(seconds: int) -> pb.ConfigValue:
    return pb.ConfigValue(duration_value={"seconds": seconds})


def get(config: Any, name: str) -> pb.Config:
    found: pb.Config = config.GetConfig(pb.GetConfigRequest(name=name)).config
    return found


def put(config: Any, name: str, value: pb.ConfigValue, **more: Any) -> pb.Config:
    made: pb.Config = config.SetConfig(pb.SetConfigRequest(name=name, value=value, **more)).config
    return made


def set_secret(config: Any, value: str, name: str = "") -> pb.Config:
    name = name or f"config/secrets.s-{uuid.uuid4().hex[:8]}"
    return put(config, name, pb.ConfigValue(string_value=value))


def rows(database_url: str, query: str, *values: Any) -> list[asyncpg.Record]:
    async def fetch() -> list[asyncpg.Record]:
        connection = await asyncpg.connect(database_url)
        try:
            return list(await connection.fetch(query, *values))
        finally:
            await connection.close()

    return asyncio.run(fetch())


def run_command(command: str, environment: Mapping[str, str]) -> str:
    ran = subprocess.run(
        [sys.executable, "-m", "services.scheduler", command],
        env=dict(environment),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return ran.stderr


def with_second_factor(tokens: LocalIssuer, role: str = "super_admin", **claims: Any) -> str:
    shown = {"amr": ["pwd", "otp"], "auth_time": int(time.time()), **claims}
    return tokens.mint(role, subject="lin", **shown)


def test_every_key_is_listed_with_its_declaration(config: Any) -> None:
    listed = {one.name: one for one in config.ListConfig(pb.ListConfigRequest()).configs}
    assert {"config/logging.level", "config/scheduler.runs.retention", TASKS, WAITING, CHUNKS} <= set(listed)
    assert list(listed) == sorted(listed)
    tasks = listed[TASKS]
    assert (tasks.type, tasks.used_by) == (pb.CONFIG_TYPE_DURATION, ["monitor"])
    assert tasks.default_value == span(30 * DAY)
    assert (tasks.minimum, tasks.maximum) == (span(3600), span(3650 * DAY))
    assert tasks.description
    level = listed["config/logging.level"]
    assert level.type == pb.CONFIG_TYPE_ENUM
    assert "DEBUG" in level.choices


def test_lists_are_filtered_and_paged(config: Any) -> None:
    found, token = [], ""
    while True:
        page = config.ListConfig(pb.ListConfigRequest(prefix="embedder.", page_size=1, page_token=token))
        found += [one.name for one in page.configs]
        token = page.next_page_token
        if not token:
            break
    assert found == [WAITING, CHUNKS]


def test_what_is_set_is_in_force_until_it_is_reset(config: Any) -> None:
    before = get(config, TASKS)
    assert before.value == before.default_value
    changed = put(config, TASKS, span(7 * DAY), comment="disk is small")
    assert (changed.value, changed.is_set, changed.updated_by) == (span(7 * DAY), True, "mei")
    assert changed.revision > before.revision
    assert changed.HasField("update_time")
    assert get(config, TASKS) == changed
    reset = config.ResetConfig(pb.ResetConfigRequest(name=TASKS)).config
    assert (reset.value, reset.is_set) == (before.default_value, False)
    assert config.ResetConfig(pb.ResetConfigRequest(name=TASKS)).config == reset


def test_setting_what_is_set_already_makes_no_revision(config: Any) -> None:
    first = put(config, CHUNKS, pb.ConfigValue(int_value=20_000))
    assert put(config, CHUNKS, pb.ConfigValue(int_value=20_000)) == first


def test_the_later_of_two_editors_is_told_the_current_etag(config: Any) -> None:
    read = get(config, CHUNKS)
    current = put(config, CHUNKS, pb.ConfigValue(int_value=11_000), etag=read.etag)
    rollback = pb.RollbackConfigRequest(name=CHUNKS, revision=current.revision, etag=read.etag)
    for call, request in (
        (config.SetConfig, pb.SetConfigRequest(name=CHUNKS, value={"int_value": 12_000}, etag=read.etag)),
        (config.ResetConfig, pb.ResetConfigRequest(name=CHUNKS, etag=read.etag)),
        (config.RollbackConfig, rollback),
    ):
        code, message = refused(call, request)
        assert code is Code.ABORTED
        assert current.etag in message
    assert get(config, CHUNKS) == current


def test_a_check_changes_nothing(config: Any) -> None:
    before = get(config, WAITING)
    proposed = put(config, WAITING, pb.ConfigValue(int_value=2048), validate_only=True)
    assert (proposed.value.int_value, proposed.is_set, proposed.revision) == (2048, True, before.revision)
    assert get(config, WAITING) == before
    request = pb.SetConfigRequest(name=WAITING, value={"int_value": 1}, validate_only=True)
    assert fields_at_fault(config.SetConfig, request) == ["value.int_value"]


def test_a_change_sent_twice_with_one_request_id_is_made_once(config: Any) -> None:
    request_id = uuid.uuid4().hex
    first = put(config, CHUNKS, pb.ConfigValue(int_value=13_000), request_id=request_id)
    put(config, CHUNKS, pb.ConfigValue(int_value=14_000))
    again = put(config, CHUNKS, pb.ConfigValue(int_value=13_000), request_id=request_id)
    assert again.value.int_value == 14_000
    assert again.revision > first.revision


def test_revisions_tell_who_changed_what_from_what_and_why(config: Any) -> None:
    put(config, WAITING, pb.ConfigValue(int_value=5000), comment="first")
    put(config, WAITING, pb.ConfigValue(int_value=6000), comment="then")
    config.ResetConfig(pb.ResetConfigRequest(name=WAITING, comment="enough"))
    found = config.ListConfigRevisions(pb.ListConfigRevisionsRequest(name=WAITING, page_size=3)).revisions
    told = [(one.change, one.old_value.int_value, one.new_value.int_value, one.comment) for one in found]
    assert told == [
        (pb.CONFIG_CHANGE_RESET, 6000, 0, "enough"),
        (pb.CONFIG_CHANGE_SET, 5000, 6000, "then"),
        (pb.CONFIG_CHANGE_SET, 0, 5000, "first"),
    ]
    assert {(one.actor, one.name) for one in found} == {("mei", WAITING)}
    assert not found[0].HasField("new_value")
    numbers, token = [], ""
    while True:
        request = pb.ListConfigRevisionsRequest(page_size=2, page_token=token)
        page = config.ListConfigRevisions(request)
        numbers += [one.revision for one in page.revisions]
        token = page.next_page_token
        if not token:
            break
    assert numbers == sorted(numbers, reverse=True)
    assert {one.revision for one in found} <= set(numbers)


def test_a_rollback_is_a_new_revision_with_the_old_value(config: Any) -> None:
    first = put(config, WAITING, pb.ConfigValue(int_value=7000))
    put(config, WAITING, pb.ConfigValue(int_value=8000))
    reset = config.ResetConfig(pb.ResetConfigRequest(name=WAITING)).config
    request = pb.RollbackConfigRequest(name=WAITING, revision=first.revision, comment="back")
    back = config.RollbackConfig(request).config
    assert (back.value.int_value, back.is_set) == (7000, True)
    assert back.revision > reset.revision
    [newest] = config.ListConfigRevisions(pb.ListConfigRevisionsRequest(name=WAITING, page_size=1)).revisions
    assert (newest.change, newest.rolled_back_to) == (pb.CONFIG_CHANGE_ROLLBACK, first.revision)
    # Back to when it was not set: the default.
    again = config.RollbackConfig(pb.RollbackConfigRequest(name=WAITING, revision=reset.revision)).config
    assert not again.is_set
    code, _ = refused(config.RollbackConfig, pb.RollbackConfigRequest(name=TASKS, revision=first.revision))
    assert code is Code.NOT_FOUND


@pytest.mark.parametrize(
    ("request_message", "field"),
    [
        (pb.SetConfigRequest(name=TASKS, value=span(60)), "value.duration_value"),
        (pb.SetConfigRequest(name=TASKS, value=span(315_576_000_000)), "value.duration_value"),
        (pb.SetConfigRequest(name=TASKS, value={"int_value": 7}), "value"),
        (pb.SetConfigRequest(name=TASKS), "value"),
        (pb.SetConfigRequest(name=CHUNKS, value={"int_value": 2**62}), "value.int_value"),
        (pb.SetConfigRequest(name=CHUNKS, value={"bool_value": True}), "value"),
        (
            pb.SetConfigRequest(name="config/logging.level", value={"string_value": "LOUD"}),
            "value.string_value",
        ),
        (
            pb.SetConfigRequest(name="config/secrets.a", value={"string_value": "x" * 9000}),
            "value.string_value",
        ),
        (pb.SetConfigRequest(name="config/secrets.a", value={"string_value": "a\0b"}), "value.string_value"),
        (pb.SetConfigRequest(name="config/"), "name"),
        (pb.SetConfigRequest(name="schedules/a", value={"int_value": 1}), "name"),
        (pb.SetConfigRequest(name=CHUNKS, value={"int_value": 5000}, comment="x" * 2000), "comment"),
        (pb.SetConfigRequest(name=CHUNKS, value={"int_value": 5000}, request_id="\0"), "request_id"),
    ],
)
def test_a_value_that_can_not_be_is_refused_by_field(
    config: Any, request_message: pb.SetConfigRequest, field: str
) -> None:
    assert fields_at_fault(config.SetConfig, request_message) == [field]


@pytest.mark.parametrize("name", ["config/monitor.tasks", "config/a b"])
def test_a_key_that_nobody_declared_is_not_found(config: Any, name: str) -> None:
    for call, request in (
        (config.GetConfig, pb.GetConfigRequest(name=name)),
        (config.SetConfig, pb.SetConfigRequest(name=name, value={"int_value": 1})),
        (config.ResetConfig, pb.ResetConfigRequest(name=name)),
        (config.RollbackConfig, pb.RollbackConfigRequest(name=name, revision=1)),
        (config.ListConfigRevisions, pb.ListConfigRevisionsRequest(name=name)),
    ):
        code, message = refused(call, request)
        assert code is Code.NOT_FOUND
        assert name in message


def test_a_viewer_sees_nothing_of_it(service: ServiceProcess, tokens: LocalIssuer) -> None:
    with service.channel() as channel:
        viewer = Caller(config_pb2_grpc.ConfigServiceStub(channel), tokens.mint("viewer"))
        code, _ = refused(viewer.ListConfig, pb.ListConfigRequest())
    assert code is Code.PERMISSION_DENIED


def test_a_watch_gives_what_is_then_what_changes(config: Any) -> None:
    stream = config.WatchConfig(pb.WatchConfigRequest(prefixes=["embedder."]))
    first = next(stream)
    assert first.complete
    assert [one.name for one in first.configs] == [WAITING, CHUNKS]
    put(config, TASKS, span(5 * DAY))
    changed = put(config, CHUNKS, pb.ConfigValue(int_value=15_000))
    told = next(response for response in stream if response.configs)
    assert (told.complete, list(told.configs)) == (False, [changed])
    assert told.revision == changed.revision
    stream.cancel()


def test_a_watch_taken_up_again_misses_nothing_and_repeats_nothing(config: Any) -> None:
    seen = put(config, CHUNKS, pb.ConfigValue(int_value=16_000)).revision
    put(config, WAITING, pb.ConfigValue(int_value=9000))
    newest = put(config, WAITING, pb.ConfigValue(int_value=9500))
    stream = config.WatchConfig(pb.WatchConfigRequest(after_revision=seen))
    told = next(stream)
    assert (told.complete, list(told.configs)) == (False, [newest])
    stream.cancel()


def test_a_watch_from_a_revision_that_is_to_come_begins_anew(config: Any) -> None:
    """The database was restored from before it."""
    stream = config.WatchConfig(pb.WatchConfigRequest(after_revision=2**40))
    assert next(stream).complete
    stream.cancel()
    assert fields_at_fault(
        lambda request: next(config.WatchConfig(request)), pb.WatchConfigRequest(after_revision=-1)
    ) == ["after_revision"]


def test_a_secret_is_shown_by_none_of_the_ordinary_ways(
    config: Any, service: ServiceProcess, database_url: str
) -> None:
    secret = f"hunter2-{uuid.uuid4().hex}"
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
    stored = rows(database_url, "SELECT to_jsonb(c) FROM celery_system_config c")
    stored += rows(database_url, "SELECT to_jsonb(r) FROM celery_system_config_revisions r")
    assert secret not in str(stored)
    entries = rows(database_url, "SELECT convert_from(entry, 'UTF8') AS entry FROM audit_outbox_scheduler")
    about = [row["entry"] for row in entries if made.name in row["entry"]]
    assert about, "the change is in the audit outbox"
    assert secret not in str(entries)


def test_a_secret_given_with_a_faulty_request_is_not_echoed(config: Any) -> None:
    request = pb.SetConfigRequest(name="config/secrets.a", value={"string_value": "hunter3" * 2000})
    _, message = refused(config.SetConfig, request)
    assert "hunter3" not in message


def test_a_service_reads_a_secret_by_its_certificate(config: Any, worker: Any) -> None:
    made = set_secret(config, "密碼 with spaces")
    answer = worker.ReadSecret(pb.ReadSecretRequest(name=made.name))
    assert (answer.value, answer.revision) == ("密碼 with spaces", made.revision)
    code, _ = refused(config.ReadSecret, pb.ReadSecretRequest(name=made.name))
    assert code is Code.PERMISSION_DENIED


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
        for row in rows(database_url, "SELECT entry FROM audit_outbox_scheduler ORDER BY seq")
    ]
    about = [one for one in entries if one.get("resource") == made.name and "Reveal" in one["method"]]
    assert [one["kind"] for one in about] == ["refusal"] * len(refusals) + ["intent"]
    assert about[-1]["actor"] == "lin"


def test_a_service_can_not_reveal_what_only_a_person_may(config: Any, worker: Any) -> None:
    made = set_secret(config, "x")
    code, message = refused(worker.RevealConfig, pb.RevealConfigRequest(name=made.name))
    assert code is Code.PERMISSION_DENIED
    assert "second factor" in message


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
    assert {row["key"] for row in rows(database_url, wrapping)} == {old, newest}
    assert "keys.rotated" in run_command("rotate-keys", environment)
    assert {row["key"] for row in rows(database_url, wrapping)} == {newest}
    # The old key is not needed any more.
    kept = [key for key in json.loads(key_file.read_text())["keys"] if key["id"] == newest]
    key_file.write_text(json.dumps({"keys": kept}))
    for number, one in enumerate([*made, during]):
        assert worker.ReadSecret(pb.ReadSecretRequest(name=one.name)).value == f"value {number}"


def test_a_value_moved_to_another_key_does_not_open(config: Any, worker: Any, database_url: str) -> None:
    mine, theirs = set_secret(config, "mine"), set_secret(config, "theirs")
    rows(
        database_url,
        "UPDATE celery_system_config_revisions SET sealed ="
        " (SELECT sealed FROM celery_system_config_revisions WHERE revision = $1) WHERE revision = $2",
        theirs.revision,
        mine.revision,
    )
    code, message = refused(worker.ReadSecret, pb.ReadSecretRequest(name=mine.name))
    assert code is Code.FAILED_PRECONDITION
    assert "encrypted value" in message


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


def test_many_editors_at_once_make_revisions_one_after_the_other(config: Any) -> None:
    """Whoever follows sees the last value, and no number twice."""

    def edit(number: int) -> int:
        return put(config, CHUNKS, pb.ConfigValue(int_value=20_000 + number)).revision

    with ThreadPoolExecutor(8) as editors:
        numbers = list(editors.map(edit, range(40)))
    assert len(set(numbers)) == 40
    [newest] = config.ListConfigRevisions(pb.ListConfigRevisionsRequest(name=CHUNKS, page_size=1)).revisions
    assert eventually(lambda: get(config, CHUNKS).value == newest.new_value)


def test_a_secret_of_a_name_that_none_can_have_is_refused_by_its_name(config: Any) -> None:
    for name in ("secrets.密碼", "secrets.SMTP", "secrets.", "secrets." + "a" * 101):
        wanted = pb.SetConfigRequest(name=f"config/{name}", value=pb.ConfigValue(string_value="x"))
        assert fields_at_fault(config.SetConfig, wanted) == ["name"]
        assert fields_at_fault(config.GetConfig, pb.GetConfigRequest(name=f"config/{name}")) == ["name"]
