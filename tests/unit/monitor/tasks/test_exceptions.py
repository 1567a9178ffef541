"""The type and the message of an exception, as events tell it."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from celery.exceptions import Retry
from hypothesis import given
from hypothesis import strategies as st

from services.monitor.tasks.exceptions import MOST_EXCEPTION, MOST_MESSAGE, MOST_TYPE, exception_in
from services.monitor.tasks.record import TaskRecord

HEAD = 'Traceback (most recent call last):\n  File "a.py", line 1, in f\n    g()\n'
WRAPPED = "ExceptionWithTraceback()"


def told(exception: Any, traceback: Any = None) -> tuple[str, str]:
    found = exception_in({"exception": exception, "traceback": traceback})
    return found.type, found.message


@pytest.mark.parametrize(
    "repr_of, expected",
    [
        ("ValueError('no luck')", ("ValueError", "no luck")),
        ('KeyError("it\'s")', ("KeyError", "it's")),
        ("ValueError()", ("ValueError", "")),
        ("TimeLimitExceeded(1,)", ("TimeLimitExceeded", "1")),
        ("OSError(2, 'No such file')", ("OSError", "2, 'No such file'")),
        ("ValueError('a', 'b')", ("ValueError", "'a', 'b'")),
        ("Error(b'raw')", ("Error", "b'raw'")),
        ("a.b.Error('no')", ("Error", "no")),
        ("Übel('schräg (sehr)')", ("Übel", "schräg (sehr)")),
        (r"Error('one\ntwo \\ \x41 \u6587 \U0001f600 \'')", ("Error", "one\ntwo \\ A 文 \U0001f600 '")),
        (r"Error('\x00 \ud800 \q')", ("Error", "\ufffd \\ud800 \\q")),
    ],
)
def test_the_repr_tells_type_and_message(repr_of: str, expected: tuple[str, str]) -> None:
    assert told(repr_of, f"{HEAD}other.Thing: else\n") == expected


@pytest.mark.parametrize(
    "reason, expected",
    [
        (ConnectionError("away"), ("ConnectionError", "away")),
        (KeyError(dt.datetime(2026, 1, 1)), ("KeyError", "datetime.datetime(2026, 1, 1, 0, 0)")),
        (None, ("Retry", "Retry(...), None, {when}")),
    ],
)
@pytest.mark.parametrize(
    "when", [None, 3, 0.2, dt.datetime(2026, 1, 1), dt.datetime(2026, 1, 1, tzinfo=dt.UTC)]
)
def test_a_retry_is_told_by_the_exception_for_which_the_task_is_tried_again(
    reason: Exception | None, expected: tuple[str, str], when: Any
) -> None:
    """Workers whose pool is not `prefork` tell the Retry that is around it."""
    name, message = expected
    assert told(repr(Retry("a message", reason, when))) == (name, message.format(when=repr(when)))


@pytest.mark.parametrize(
    "repr_of, ending, expected",
    [
        (WRAPPED, "a.b.WorkerLostError: signal 9 (SIGKILL)", ("WorkerLostError", "signal 9 (SIGKILL)")),
        (WRAPPED, "KeyError", ("KeyError", "")),
        (WRAPPED, "Error: one\n\ntwo", ("Error", "one\n\ntwo")),
        (WRAPPED, "__main__.f.<locals>.Inner: no", ("Inner", "no")),
        ("1 error for Order\nid\n  none", "pydantic_core.ValidationError: 1 e", ("ValidationError", "1 e")),
        ("<Error 5>", "app.Error: five", ("Error", "five")),
        ("None", "celery.exceptions.Retry: Retry in 3s", ("Retry", "Retry in 3s")),
        ("Error()", "app.Error: code 5", ("Error", "code 5")),
        ("Error()", "app.Other: code 5", ("Error", "")),
        (None, "app.Error: code 5", ("Error", "code 5")),
    ],
)  # fmt: skip
def test_where_the_repr_says_nothing_the_traceback_tells(
    repr_of: Any, ending: str, expected: tuple[str, str]
) -> None:
    assert told(repr_of, f"{HEAD}{ending}\n") == expected


def test_of_a_chain_of_exceptions_the_last_counts() -> None:
    during = "\nDuring handling of the above exception, another exception occurred:\n\n"
    assert told(WRAPPED, f"{HEAD}KeyError: 'k'\n{during}{HEAD}app.Last: no\n") == ("Last", "no")


def test_a_traceback_within_a_message_is_of_the_message() -> None:
    inner = f'remote:\n"""\n{HEAD}KeyError: 1\n"""'
    assert told(WRAPPED, f"{HEAD}app.Outer: {inner}\n") == ("Outer", inner)


@pytest.mark.parametrize(
    "repr_of, traceback, expected",
    [
        (WRAPPED, None, ("", "")),
        (WRAPPED, "Traceback (most recent call last):\n  File", ("", "")),
        ("it went wrong", "no traceback", ("", "it went wrong")),
        (None, None, ("", "")),
        (7, [7], ("", "")),
    ],
)
def test_what_nothing_tells_is_empty(repr_of: Any, traceback: Any, expected: tuple[str, str]) -> None:
    assert told(repr_of, traceback) == expected


def test_the_type_is_read_from_the_whole_of_a_long_traceback() -> None:
    frames = '  File "a.py", line 1, in f\n    g()\n' * 10_000
    found = exception_in({"exception": WRAPPED, "traceback": f"{HEAD}{frames}app.Error: {'x' * 9_000}\n"})
    assert found.type == "Error"
    assert (len(found.message), len(found.words)) == (MOST_MESSAGE, MOST_EXCEPTION)


def test_a_long_message_is_cut_and_still_read_without_its_quotes() -> None:
    found = exception_in({"exception": f"Error('{chr(92)}n{'x' * 1_000_000}')"})
    assert (found.type, found.message[:3], len(found.message)) == ("Error", "\nxx", MOST_MESSAGE)
    assert found.message.endswith("x…")


@given(st.text())
def test_the_message_of_an_exception_with_one_text_is_that_text(text: str) -> None:
    whole = text.replace("\0", "\ufffd")
    assert told(repr(ValueError(text))) == ("ValueError", whole)


words = st.text() | st.sampled_from([WRAPPED, "E('", "E('\\", 'E("', "E(", "a.", "<", HEAD, "\n\n" + HEAD])
texts = st.lists(words, max_size=5).map("".join)


@given(texts, texts)
def test_any_text_is_read_within_its_bounds(exception: str, traceback: str) -> None:
    found = exception_in({"exception": exception, "traceback": traceback})
    assert len(found.type) <= MOST_TYPE and len(found.message) <= MOST_MESSAGE
    assert "\n" not in found.type


@pytest.mark.parametrize(
    ("exception", "traceback", "told", "name"),
    [
        ("NotRegistered('shop.pay')", None, None, "shop.pay"),
        ("NotRegistered('shop.pay')", None, "shop.ship", "shop.ship"),
        # One that the task has raised itself.
        ("NotRegistered('shop.pay')", "Traceback …", None, None),
        ("KeyError('shop.pay')", None, None, None),
        ("NotRegistered('[redacted]')", None, None, None),
    ],
)
def test_the_name_of_an_unknown_task_is_told_by_its_failure_where_nothing_else_tells_it(
    exception: str, traceback: str | None, told: str | None, name: str | None
) -> None:
    record = TaskRecord("one")
    record.task = told
    event = {"exception": exception, "traceback": traceback, "hostname": "celery@host", "pid": 7}
    record.hear("task-failed", 5, event)
    assert record.task == name
