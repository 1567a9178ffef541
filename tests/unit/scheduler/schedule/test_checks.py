"""What a definition must be: what is refused says which of its fields, and what is wrong with it."""

from __future__ import annotations

import base64
import datetime as dt
import json
from collections.abc import Callable
from typing import Any

import pytest

from services.kernel.celery_message import CELERYS_HEADERS, RUN_HEADER
from services.kernel.validation import Faults
from services.scheduler.schedule import checks
from services.scheduler.schedule.definition import Task
from services.scheduler.schedule.message_template import MessageTemplate

NOW = dt.datetime(2026, 11, 24, 12, tzinfo=dt.UTC)


def told(check: Callable[..., Any], *values: Any) -> list[tuple[str, str]]:
    faults = Faults()
    check(*values, faults, "field")
    return [(fault.field, fault.fault) for fault in faults]


def test_headers_that_each_message_has_of_its_own_are_refused() -> None:
    """They would not be heeded: the message's own take their place."""
    message = json.loads(MessageTemplate(Task("count")).message("id", NOW, NOW, "a run").envelope)
    assert set(message["headers"]) == CELERYS_HEADERS | {RUN_HEADER}
    assert message["headers"][RUN_HEADER] == "a run"
    assert json.loads(base64.b64decode(message["body"]))[:2] == [[], {}]
    fault = "is a header that Celery's messages have of their own"
    task = Task("count", headers={"tenant": "acme", "id": "x", "timelimit": "5"})
    assert told(checks.task, task) == [("field.headers.id", fault), ("field.headers.timelimit", fault)]


@pytest.mark.parametrize("number", ["1e999", "-1e400", "1" * 400])
def test_arguments_that_no_message_can_be_made_of_are_refused(number: str) -> None:
    """They were stored, and then told as if other hands had written them."""
    [(field, fault)] = told(checks.task, Task("count", args_json=f"[{number}]"))
    assert field == "field.args_json" and "infinity" in fault
    [(field, _)] = told(checks.task, Task("count", kwargs_json=f'{{"n": {number}}}'))
    assert field == "field.kwargs_json"
    MessageTemplate(Task("count", args_json="[12345678901234567890123, 1e-999, 1e308]"))
    assert told(checks.task, Task("count", args_json="[12345678901234567890123, 1e-999, 1e308]")) == []


def test_a_long_crontab_is_refused_and_never_cut() -> None:
    """Cut at its end, it would be another one."""
    expression = "0 3 * *".ljust(999) + "1-3"
    assert told(checks.crontab, expression, "nightly") == [
        ("field", "has 1002 characters, at most 1000 are allowed")
    ]
    assert told(checks.crontab, expression[:1000], "nightly") == []


@pytest.mark.parametrize("name", ["localtime", "Factory", "Mars/Olympus", "CST", "+08:00"])
def test_a_zone_that_is_another_on_each_machine_or_none_is_refused(name: str) -> None:
    assert told(checks.zone, name, "UTC") == [("field", f"is {name!r}, no zone of the IANA database")]


@pytest.mark.parametrize(
    ("labels", "fault"),
    [
        ({"": "x"}, "has a name that is empty"),
        ({"a" * 101: "x"}, "has a name that has 101 characters, at most 100 are allowed"),
        # A filter "a=b=x" is one for "a".
        ({"a=b": "x"}, "has the name 'a=b', with a \"=\" in it"),
    ],
)
def test_a_label_has_a_name_that_can_be_asked_for(labels: dict[str, str], fault: str) -> None:
    assert told(checks.labels, labels) == [("field", fault)]
    assert told(checks.labels, {"團隊": "成長=快"}) == []
