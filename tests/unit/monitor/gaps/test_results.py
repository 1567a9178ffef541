"""What stored results tell of the end of tasks."""

from __future__ import annotations

import json
from typing import Any

import pytest

from services.monitor.gaps.results import StoredEnd, end_in, end_of_parts

DONE = "2026-11-30T07:00:00.123456+00:00"
AT = 1796022000123456


def stored(status: str, result: Any = None, **more: Any) -> bytes:
    meta = {"status": status, "result": result, "traceback": None, "children": [], "date_done": DONE}
    return json.dumps({**meta, "task_id": "one", **more}).encode()


def failure(kind: str, *values: Any) -> dict[str, Any]:
    return {"exc_type": kind, "exc_message": list(values), "exc_module": "builtins"}


@pytest.mark.parametrize(
    ("value", "kind", "event"),
    [
        (stored("SUCCESS", 3), "task-succeeded", {"result": "3"}),
        (stored("SUCCESS", {"a": "b\0"}), "task-succeeded", {"result": "{'a': 'b\\x00'}"}),
        (
            stored("FAILURE", failure("KeyError", "a", 1), traceback="Traceback …\0"),
            "task-failed",
            {"exception": "KeyError('a', 1)", "traceback": "Traceback …�"},
        ),
        (stored("FAILURE", "odd"), "task-failed", {"exception": "Exception()", "traceback": None}),
        (
            stored("REVOKED", failure("TaskRevokedError", "expired")),
            "task-revoked",
            {"expired": True, "terminated": False},
        ),
    ],
)
def test_an_end_is_told_as_an_event_would_tell_it(value: bytes, kind: str, event: dict[str, Any]) -> None:
    assert end_in(value) == StoredEnd(kind, AT, event, {})


def test_what_an_extended_result_tells_besides_is_kept_apart() -> None:
    value = stored("SUCCESS", 1, name="add", queue="celery", worker="w@host", args=[1], retries=0)
    found = end_in(value)
    assert found is not None
    assert found.details == {"name": "add", "queue": "celery", "hostname": "w@host"}


@pytest.mark.parametrize(
    "value",
    [
        stored("STARTED"),
        stored("RETRY", failure("ValueError", "again")),
        stored("OWN_STATE", 1),
        stored("SUCCESS", 1, date_done=None),
        stored("SUCCESS", 1, date_done="no time"),
        b"\x80\x04\x95pickle",
        b"[1, 2]",
        b"",
    ],
)
def test_what_is_no_end_or_can_t_be_read_tells_nothing(value: bytes) -> None:
    assert end_in(value) is None


def test_of_a_large_result_state_and_time_are_told_without_the_result() -> None:
    value = stored("SUCCESS", "x" * 100_000)
    assert end_of_parts(value[:4096], value[-4096:]) == StoredEnd("task-succeeded", AT, {}, {})
    started = stored("STARTED", "x" * 100_000)
    assert end_of_parts(started[:4096], started[-4096:]) is None
