"""Changes one after the other, each a revision: who, why, and back again."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from celeriac.scheduler.v1 import config_pb2 as pb

from tests.support.calls import all_listed, eventually, fields_at_fault, refused
from tests.support.configurations import CHUNKS, TASKS, WAITING, get, put, revision, set_secret
from tests.support.secrets_in_logs import canary

Code = grpc.StatusCode


def test_setting_what_is_set_already_makes_no_revision(config: Any) -> None:
    first = put(config, CHUNKS, pb.ConfigValue(int_value=20_000))
    assert put(config, CHUNKS, pb.ConfigValue(int_value=20_000)) == first


def test_the_later_of_two_editors_is_told_the_current_etag(config: Any) -> None:
    read = get(config, CHUNKS)
    current = put(config, CHUNKS, pb.ConfigValue(int_value=11_000), etag=read.etag)
    rollback = pb.RollbackConfigRequest(
        name=CHUNKS, revision=revision(CHUNKS, current.revision), etag=read.etag
    )
    for call, request in (
        (config.SetConfig, pb.SetConfigRequest(name=CHUNKS, value={"int_value": 12_000}, etag=read.etag)),
        (config.ResetConfig, pb.ResetConfigRequest(name=CHUNKS, etag=read.etag)),
        (config.RollbackConfig, rollback),
    ):
        code, message = refused(call, request)
        assert code is Code.ABORTED
        assert current.etag in message
    assert get(config, CHUNKS) == current


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
    found = config.ListConfigRevisions(pb.ListConfigRevisionsRequest(parent=WAITING, page_size=3)).revisions
    told = [(one.change, one.old_value.int_value, one.new_value.int_value, one.comment) for one in found]
    assert told == [
        (pb.CONFIG_CHANGE_RESET, 6000, 0, "enough"),
        (pb.CONFIG_CHANGE_SET, 5000, 6000, "then"),
        (pb.CONFIG_CHANGE_SET, 0, 5000, "first"),
    ]
    assert {(one.actor, one.config) for one in found} == {("mei", WAITING)}
    assert [one.name for one in found] == [revision(WAITING, one.revision) for one in found]
    assert not found[0].HasField("new_value")
    whole = all_listed(config.ListConfigRevisions, pb.ListConfigRevisionsRequest(page_size=2), "revisions")
    numbers = [one.revision for one in whole]
    assert numbers == sorted(numbers, reverse=True)
    assert {one.revision for one in found} <= set(numbers)


def test_a_rollback_is_a_new_revision_with_the_old_value(config: Any) -> None:
    first = put(config, WAITING, pb.ConfigValue(int_value=7000))
    put(config, WAITING, pb.ConfigValue(int_value=8000))
    reset = config.ResetConfig(pb.ResetConfigRequest(name=WAITING)).config
    request = pb.RollbackConfigRequest(
        name=WAITING, revision=revision(WAITING, first.revision), comment="back"
    )
    back = config.RollbackConfig(request).config
    assert (back.value.int_value, back.is_set) == (7000, True)
    assert back.revision > reset.revision
    [newest] = config.ListConfigRevisions(
        pb.ListConfigRevisionsRequest(parent=WAITING, page_size=1)
    ).revisions
    assert (newest.change, newest.rolled_back_to) == (
        pb.CONFIG_CHANGE_ROLLBACK,
        revision(WAITING, first.revision),
    )
    # Back to when it was not set: the default.
    to_reset = pb.RollbackConfigRequest(name=WAITING, revision=revision(WAITING, reset.revision))
    again = config.RollbackConfig(to_reset).config
    assert not again.is_set


def test_a_rollback_to_a_revision_that_the_key_does_not_have_is_not_found(config: Any) -> None:
    """The number is that of another key's revision."""
    other = put(config, WAITING, pb.ConfigValue(int_value=9000)).revision
    request = pb.RollbackConfigRequest(name=TASKS, revision=revision(TASKS, other))
    assert refused(config.RollbackConfig, request) == (
        Code.NOT_FOUND,
        f"{TASKS} has no revision {other}; ListConfigRevisions tells those that it has",
    )


@pytest.mark.parametrize(
    "named", ["", "12", "revisions/12", f"{WAITING}/revisions/12", f"{TASKS}/revisions/0", f"{TASKS}/12"]
)
def test_a_rollback_names_a_revision_of_its_key(config: Any, named: str) -> None:
    request = pb.RollbackConfigRequest(name=TASKS, revision=named)
    assert fields_at_fault(config.RollbackConfig, request) == ["revision"]
    assert f"{TASKS}/revisions/12" in refused(config.RollbackConfig, request)[1]


def test_an_etag_never_comes_again_for_a_secret_that_was_removed_and_set_anew(config: Any) -> None:
    first = set_secret(config, canary())
    config.ResetConfig(pb.ResetConfigRequest(name=first.name))
    second = set_secret(config, canary(), first.name)
    assert second.etag != first.etag
    late = pb.SetConfigRequest(name=first.name, value={"string_value": canary()}, etag=first.etag)
    code, message = refused(config.SetConfig, late)
    assert code is Code.ABORTED
    assert second.etag in message


def test_many_editors_at_once_make_revisions_one_after_the_other(config: Any) -> None:
    """Whoever follows sees the last value, and no number twice."""

    def edit(number: int) -> int:
        return put(config, CHUNKS, pb.ConfigValue(int_value=20_000 + number)).revision

    with ThreadPoolExecutor(8) as editors:
        numbers = list(editors.map(edit, range(40)))
    assert len(set(numbers)) == 40
    [newest] = config.ListConfigRevisions(pb.ListConfigRevisionsRequest(parent=CHUNKS, page_size=1)).revisions
    assert eventually(lambda: get(config, CHUNKS).value == newest.new_value)
