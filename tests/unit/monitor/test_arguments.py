"""Which arguments of a task are known in full, from each source that tells them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from services.monitor.sending.arguments import in_meta, in_reprs, in_request


@pytest.mark.parametrize(
    ("args", "kwargs", "sent"),
    [
        ("()", "{}", [[], {}]),
        ("(1, 'two', 3.5, None, True)", "{'to': {'a': [1, (2, 3)]}}", None),
        ("[1]", "{'n': 9007199254740993}", [[1], {"n": 9007199254740993}]),
    ],
)
def test_reprs_of_json_values_tell_the_arguments(args: str, kwargs: str, sent: Any) -> None:
    found = in_reprs(args, kwargs)
    assert found is not None
    told = [json.loads(found.args_json), json.loads(found.kwargs_json)]
    assert told == (sent or [[1, "two", 3.5, None, True], {"to": {"a": [1, [2, 3]]}}])


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        ("", "{}"),
        ("()", ""),
        # Cut by Celery within a text, at its depth, and by the monitor.
        ("('aaaa...',)", "{}"),
        ("([[[...]]],)", "{}"),
        ("(1, 2, …", "{}"),
        # Secrets were removed, by the monitor or by the sender.
        ("('[redacted]',)", "{}"),
        ("()", "{'password': [redacted]}"),
        ("[not kept]", "[not kept]"),
        ("()", "{'card': '**** **** **** 1234'}"),
        # No JSON, or not the same after it.
        ("(<Order 5>,)", "{}"),
        ("(b'bytes',)", "{}"),
        ("({1, 2},)", "{}"),
        ("(datetime.datetime(2026, 1, 1),)", "{}"),
        ("({1: 'one'},)", "{}"),
        ("(1j,)", "{}"),
        ("(1e999,)", "{}"),
        # No arguments at all.
        ("'text'", "{}"),
        ("()", "[]"),
        ("(" * 300, "{}"),
    ],
)
def test_reprs_that_do_not_tell_all_tell_nothing(args: str, kwargs: str) -> None:
    assert in_reprs(args, kwargs) is None


def test_a_stored_result_tells_the_arguments_as_they_were_sent() -> None:
    at = {"__type__": "datetime", "__value__": "2026-11-30T12:00:00"}
    meta = {
        "status": "FAILURE",
        "args": ["...", at, 12345678901234567890],
        "kwargs": {"x": 0.1},
        "queue": "q",
    }
    found = in_meta(json.dumps(meta).encode())
    assert found is not None
    assert json.loads(found.args_json) == meta["args"]
    assert json.loads(found.kwargs_json) == meta["kwargs"]
    assert (found.queue, found.priority) == ("q", None)


@pytest.mark.parametrize(
    "value",
    [
        b'{"status": "FAILURE"}',
        b'{"args": "(1, 2)", "kwargs": "{}"}',
        b'{"args": null, "kwargs": {}}',
        b"[1]",
        b"\x80\x04pickle",
        b'{"args": [NaN], "kwargs": {}}',
    ],
)
def test_a_result_that_is_stored_without_arguments_tells_nothing(value: bytes) -> None:
    assert in_meta(value) is None


def test_a_worker_tells_arguments_queue_and_priority() -> None:
    told = {"args": [1], "kwargs": {"y": 2}, "delivery_info": {"routing_key": "q", "priority": 6}}
    found = in_request(told)
    assert found is not None
    assert (found.args_json, found.kwargs_json, found.queue, found.priority) == ("[1]", '{"y": 2}', "q", 6)
    assert in_request({**told, "args": "(1,)"}) is None
    assert in_request("anything") is None
