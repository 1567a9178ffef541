"""Event messages: as kombu writes them, and as anyone may."""

from __future__ import annotations

import base64
import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.monitor.intake.events import decode, events_in, opened
from tests.support.events import Life, event_message


def test_a_list_of_events_and_a_single_one_are_read() -> None:
    events = Life(1_790_000_000.0).whole()
    assert decode(event_message(events)) == (events, 0)
    assert decode(event_message(events[0])) == ([events[0]], 0)


def test_the_envelope_may_be_written_otherwise() -> None:
    events = Life(1_790_000_000.0).whole()
    envelope = json.loads(event_message(events))
    assert decode(orjson.dumps(envelope)) == (events, 0)
    turned = json.dumps(dict(reversed(envelope.items())), indent=2).encode()
    assert decode(turned) == (events, 0)
    plain: dict[str, Any] = {**envelope, "body": json.dumps(events), "properties": {}}
    assert decode(json.dumps(plain).encode()) == (events, 0)


def _in_envelope(body: bytes, content_type: str = "application/json") -> bytes:
    text = base64.b64encode(body).decode()
    properties = {"body_encoding": "base64"}
    return json.dumps({"body": text, "content-type": content_type, "properties": properties}).encode()


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"body": "',
        b'{"body": "!!!", "content-type": "application/json", "properties": {"body_encoding": "base64"}}',
        b'{"body": 5, "content-type": "application/json", "properties": {}}',
        b'{"body": "e30=", "content-type": "application/json", "properties": null}',
        b"\xff\xfe",
        _in_envelope(b"not json"),
        _in_envelope(b'{"type": "task-sent"}', "application/x-python-serialize"),
        _in_envelope(b'{"type": "task-sent", "timestamp": 1790000000}'),
        _in_envelope(b'{"type": "task-sent", "timestamp": NaN, "uuid": "x"}'),
        _in_envelope(b'{"type": "task-sent", "timestamp": 1e300, "uuid": "x"}'),
        _in_envelope(b'{"type": "task-sent", "timestamp": -5, "uuid": "x"}'),
        _in_envelope(b'{"type": ["task-sent"], "timestamp": 1790000000, "uuid": "x"}'),
        _in_envelope(b'{"type": "task-sent", "timestamp": 1790000000, "uuid": ""}'),
        _in_envelope(b'{"type": "task-sent", "timestamp": 1790000000, "uuid": "\\ud800"}'),
        _in_envelope(b"[" * 5000),
        _in_envelope(b"17"),
    ],
)
def test_what_can_not_be_read_is_counted_and_dropped(message: bytes) -> None:
    assert decode(message) == ([], 1)


def test_one_bad_event_does_not_spoil_its_neighbours() -> None:
    event = Life(1_790_000_000.0).sent()
    assert decode(event_message([event, {}, event])) == ([event, event], 1)


def test_what_can_not_be_read_is_counted_among_messages_that_are_read_at_once() -> None:
    events = [Life(1_790_000_000.0 + number).sent() for number in range(6)]
    messages = [opened(event_message(event)) for event in events]
    assert events_in(messages) == (events, 0)
    for bad in (b"no JSON", b"", b" ", b"{", b"17", b"null", b"\xff", b"[" * 5000):
        assert events_in([*messages[:3], bad, *messages[3:]]) == (events, 1)
        assert events_in([bad, *messages]) == (events, 1)


def test_messages_that_are_json_only_together_are_not_read() -> None:
    event = orjson.dumps(Life(1_790_000_000.0).sent())
    assert events_in([b"[" + event, event + b"]"]) == ([], 2)
    assert events_in([event + b"," + event]) == ([], 1)


def test_a_message_is_opened_once_whether_it_was_already_or_not() -> None:
    event = Life(1_790_000_000.0).sent()
    message = event_message([event])
    assert opened(message) == json.dumps([event]).encode()
    assert events_in([message, opened(message), message]) == ([event] * 3, 0)
    assert events_in([opened(b"no envelope")]) == ([], 1)


def test_nul_characters_do_not_reach_the_database() -> None:
    event = {**Life(1_790_000_000.0).sent(), "args": "a\0b"}
    events, refused = decode(event_message(event))
    assert (events[0]["args"], refused) == ("a\ufffdb", 0)


@pytest.mark.parametrize("text", ["no\\u0000nul", "\\\\u0000", "\\", "\\\0", "\0\0", "a\\\\\0b\\u0000"])
def test_only_a_nul_is_replaced_and_not_what_looks_like_an_escaped_one(text: str) -> None:
    event = {**Life(1_790_000_000.0).sent(), "args": text}
    assert decode(event_message(event))[0][0]["args"] == text.replace("\0", "\ufffd")


@pytest.mark.parametrize(
    ("task_id", "sound"), [("x" * 1024, 1), ("x" * 1025, 0), ("長" * 341, 1), ("長" * 342, 0)]
)
def test_an_id_of_more_than_1024_bytes_is_refused(task_id: str, sound: int) -> None:
    events, refused = decode(event_message(Life(1_790_000_000.0, task_id).sent()))
    assert (len(events), refused) == (sound, 1 - sound)


@pytest.mark.parametrize(
    "named, sound", [({"uuid": "長" * 342}, 0), ({"uuid": 7}, 0), ({"uuid": "t"}, 1), ({}, 1)]
)
def test_an_event_of_the_applications_own_needs_no_id_and_none_that_is_no_id(
    named: dict[str, Any], sound: int
) -> None:
    events, refused = decode(event_message([{"type": "task-progress", "timestamp": 1.0, **named}]))
    assert (len(events), refused) == (sound, 1 - sound)


@given(st.binary(max_size=400))
def test_no_bytes_make_it_raise(message: bytes) -> None:
    events, refused = decode(message)
    assert events == [] and refused == 1


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=12,
)
fields = st.sampled_from(["type", "timestamp", "uuid", "hostname", "body", "properties", "content-type"])


@given(st.dictionaries(fields, json_values | st.sampled_from(["task-sent", "worker-heartbeat"])))
def test_no_body_and_no_envelope_make_it_raise(value: dict[str, Any]) -> None:
    decode(json.dumps(value).encode())
    decode(event_message(value))
    decode(event_message([value, value]))
