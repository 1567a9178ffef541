"""A change of the configuration that is sent again under its id is made once."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from celeriac.scheduler.v1 import config_pb2 as pb
from celeriac.scheduler.v1 import config_pb2_grpc

from deploy.standalone.tokens import LocalIssuer
from tests.support.calls import Caller, fields_at_fault
from tests.support.configurations import CHUNKS, WAITING, get, put, revision
from tests.support.processes import ServiceProcess
from tests.support.sql import fetch_sync


def new_id() -> str:
    return f"retry-{uuid.uuid4().hex}"


def chunks(value: int) -> pb.ConfigValue:
    return pb.ConfigValue(int_value=value)


def test_a_change_that_found_nothing_to_change_does_not_undo_a_later_one_when_it_is_sent_again(
    config: Any,
) -> None:
    put(config, CHUNKS, chunks(13_000))
    request_id = new_id()
    put(config, CHUNKS, chunks(13_000), request_id=request_id)
    put(config, CHUNKS, chunks(14_000))
    assert put(config, CHUNKS, chunks(13_000), request_id=request_id).value == chunks(14_000)
    assert get(config, CHUNKS).value == chunks(14_000)


def test_tries_of_one_change_at_the_same_time_make_one_revision(config: Any) -> None:
    request = pb.SetConfigRequest(name=WAITING, value=chunks(5_000), request_id=new_id())
    before = config.ListConfigRevisions(pb.ListConfigRevisionsRequest(parent=WAITING)).revisions
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(config.SetConfig, [request] * 8))
    after = config.ListConfigRevisions(pb.ListConfigRevisionsRequest(parent=WAITING)).revisions
    assert len(after) == len(before) + 1
    assert answers == [answers[0]] * 8


def test_an_id_with_another_body_is_refused_by_name(config: Any) -> None:
    request_id = new_id()
    made = put(config, CHUNKS, chunks(15_000), request_id=request_id)
    for call, request in (
        (config.SetConfig, pb.SetConfigRequest(value=chunks(16_000))),
        (config.SetConfig, pb.SetConfigRequest(value=chunks(15_000), comment="why")),
        (config.ResetConfig, pb.ResetConfigRequest()),
        (config.RollbackConfig, pb.RollbackConfigRequest(revision=revision(CHUNKS, made.revision))),
    ):
        request.name, request.request_id = CHUNKS, request_id
        assert fields_at_fault(call, request) == ["request_id"]
    assert get(config, CHUNKS) == made


def test_a_secret_is_set_once_and_another_one_under_its_id_is_refused(config: Any) -> None:
    name = f"configs/secrets.s-{uuid.uuid4().hex[:8]}"
    first, second = pb.ConfigValue(string_value="hunter2"), pb.ConfigValue(string_value="hunter3")
    request_id = new_id()
    made = put(config, name, first, request_id=request_id)
    assert put(config, name, first, request_id=request_id) == made
    other = pb.SetConfigRequest(name=name, value=second, request_id=request_id)
    assert fields_at_fault(config.SetConfig, other) == ["request_id"]


def test_a_change_that_is_only_checked_leaves_its_id_free(config: Any) -> None:
    request_id = new_id()
    put(config, CHUNKS, chunks(17_000), request_id=request_id, validate_only=True)
    assert put(config, CHUNKS, chunks(18_000), request_id=request_id).value == chunks(18_000)


def test_an_id_is_known_by_its_revision_when_the_request_itself_is_forgotten(
    config: Any, service: ServiceProcess, tokens: LocalIssuer, database_url: str
) -> None:
    """A day later the table of requests has it no more."""
    request = pb.SetConfigRequest(name=CHUNKS, value=chunks(19_000), comment="why", request_id=new_id())
    made = config.SetConfig(request).config
    fetch_sync(database_url, "DELETE FROM celery_schedule_requests")
    assert config.SetConfig(request).config == made
    for change in (pb.SetConfigRequest(comment="another"), pb.SetConfigRequest(value=chunks(19_001))):
        other = pb.SetConfigRequest()
        other.CopyFrom(request)
        other.MergeFrom(change)
        fetch_sync(database_url, "DELETE FROM celery_schedule_requests")
        assert fields_at_fault(config.SetConfig, other) == ["request_id"]
    fetch_sync(database_url, "DELETE FROM celery_schedule_requests")
    with service.channel() as channel:
        someone_else = Caller(config_pb2_grpc.ConfigServiceStub(channel), tokens.mint("admin", subject="lin"))
        assert fields_at_fault(someone_else.SetConfig, request) == ["request_id"]
    assert get(config, CHUNKS) == made
