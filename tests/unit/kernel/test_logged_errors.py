"""What the log may have of an exception: the table of classes, and one line of each kind."""

from __future__ import annotations

import importlib

import grpc
import pytest
import redis

from services.kernel.errors import FieldFault, Invalid, NotFound
from services.kernel.logged_errors import LEFT_OUT, MOST_FRAMES, TEXTS, for_log, in_words, story


@pytest.mark.parametrize("name", TEXTS)
def test_each_class_of_the_table_is_there_by_that_name(name: str) -> None:
    module, _, kind = name.rpartition(".")
    found = getattr(importlib.import_module(module), kind)
    assert issubclass(found, Exception)
    assert f"{found.__module__}.{found.__qualname__}" == name


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("hunter2"), f"ValueError {LEFT_OUT}"),
        (KeyError("hunter2"), f"KeyError {LEFT_OUT}"),
        (
            FileNotFoundError(2, "No such file", "/etc/x"),
            "FileNotFoundError: [Errno 2] No such file: '/etc/x'",
        ),
        (ConnectionResetError("peer left"), "ConnectionResetError: peer left"),
        (redis.ConnectionError("no\nroute"), "redis.exceptions.ConnectionError: no route"),
        (redis.InvalidResponse("hunter2"), f"redis.exceptions.InvalidResponse {LEFT_OUT}"),
        (grpc.RpcError("hunter2"), f"grpc.RpcError {LEFT_OUT}"),
        (
            NotFound("schedule", "schedules/a"),
            "services.kernel.errors.NotFound: there is no schedule 'schedules/a'",
        ),
        (
            Invalid([FieldFault("a.b", "is hunter2", "x"), FieldFault("c", "is hunter2", "x")]),
            "services.kernel.errors.Invalid: INVALID_FIELDS: a.b, c",
        ),
    ],
)
def test_a_text_is_shown_only_of_a_class_that_quotes_no_values(error: Exception, line: str) -> None:
    assert for_log(error) == line


def test_an_exception_that_is_its_own_cause_is_told_once() -> None:
    first, second = ValueError("a"), TypeError("b")
    first.__cause__, second.__cause__ = second, first
    assert [one["exc_type"] for one in story(first)] == ["ValueError", "TypeError"]
    assert in_words(first).splitlines()[-1].startswith("ValueError")


def test_of_an_endless_recursion_the_innermost_frames_are_shown() -> None:
    def deeper() -> None:
        deeper()

    with pytest.raises(RecursionError) as found:
        deeper()
    [told] = story(found.value)
    assert len(told["frames"]) == MOST_FRAMES
    assert {frame["name"] for frame in told["frames"]} == {"deeper"}
