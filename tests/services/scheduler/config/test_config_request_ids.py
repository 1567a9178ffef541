"""A change of the configuration that is sent again under its id is made once."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from celeriac.scheduler.v1 import config_pb2 as pb

from tests.support.calls import fields_at_fault
from tests.support.configurations import CHUNKS, WAITING, get, put


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
    before = config.ListConfigRevisions(pb.ListConfigRevisionsRequest(name=WAITING)).revisions
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(config.SetConfig, [request] * 8))
    after = config.ListConfigRevisions(pb.ListConfigRevisionsRequest(name=WAITING)).revisions
    assert len(after) == len(before) + 1
    assert answers == [answers[0]] * 8


def test_an_id_with_another_body_is_refused_by_name(config: Any) -> None:
    request_id = new_id()
    made = put(config, CHUNKS, chunks(15_000), request_id=request_id)
    for call, request in (
        (config.SetConfig, pb.SetConfigRequest(value=chunks(16_000))),
        (config.SetConfig, pb.SetConfigRequest(value=chunks(15_000), comment="why")),
        (config.ResetConfig, pb.ResetConfigRequest()),
        (config.RollbackConfig, pb.RollbackConfigRequest(revision=made.revision)),
    ):
        request.name, request.request_id = CHUNKS, request_id
        assert fields_at_fault(call, request) == ["request_id"]
    assert get(config, CHUNKS) == made


def test_a_secret_is_set_once_and_another_one_under_its_id_is_refused(config: Any) -> None:
    name = f"config/secrets.s-{uuid.uuid4().hex[:8]}"
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
