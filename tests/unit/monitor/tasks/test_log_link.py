"""The link from a task to its log lines: what a template may have, and how it is filled in."""

from __future__ import annotations

import dataclasses
import datetime as dt
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.monitor.tasks.log_link import EXAMPLE, NAMES, checked_template, link_of
from services.monitor.tasks.record import TaskRecord
from services.monitor.tasks.tasks import Task

SENT = dt.datetime(2026, 11, 30, 12, tzinfo=dt.UTC)
NOW = SENT + dt.timedelta(hours=1)
RECORD = TaskRecord("id-1")
RECORD.hear(
    "task-sent",
    int(SENT.timestamp() * 1e6),
    {
        "name": "shop.report",
        "queue": "reports",
        "run": "schedules/nightly/runs/20261130T120000.000000Z",
        "request_id": "ticket-1",
    },
)
TASK: Task = RECORD.task_now()
WHOLE = "https://logs.example.com/?" + "&".join(f"{name}={{{name}}}" for name in NAMES)


def test_every_placeholder_is_filled_in_percent_encoded() -> None:
    filled = link_of(checked_template(WHOLE), TASK, NOW).partition("?")[2]
    values = dict(each.split("=") for each in filled.split("&"))
    assert {name: unquote(value) for name, value in values.items()} == {
        "task_id": "id-1",
        "root_id": "id-1",
        "run": "schedules/nightly/runs/20261130T120000.000000Z",
        "schedule": "nightly",
        "request_id": "ticket-1",
        "task": "shop.report",
        "queue": "reports",
        "worker": "",
        "start": "2026-11-30T11:59:00.000Z",
        "end": "2026-11-30T13:01:00.000Z",
        "start_ms": "1796039940000",
        "end_ms": "1796043660000",
    }
    assert "/" not in filled and ":" not in filled


def test_of_a_task_that_has_ended_the_time_ends_with_it() -> None:
    ended = dataclasses.replace(TASK, ended_at=SENT + dt.timedelta(seconds=5))
    assert link_of("https://x/{task_id}?{end}", ended, NOW).endswith("2026-11-30T12%3A01%3A05.000Z")


@given(st.text(min_size=1, max_size=50))
def test_no_id_of_a_task_leads_elsewhere(task_id: str) -> None:
    filled = link_of("https://logs.example.com/{task_id}/end", dataclasses.replace(TASK, id=task_id), NOW)
    assert filled.startswith("https://logs.example.com/") and filled.endswith("/end")
    inner = filled.removeprefix("https://logs.example.com/").removesuffix("/end")
    assert not set(inner) & set("/?#&{} '\"<>") and unquote(inner) == task_id


def test_other_braces_stay() -> None:
    template = 'https://grafana.example.com/?q={service="x"}|={{task_id}}'
    assert link_of(checked_template(template), TASK, NOW) == template.replace("{task_id}", "id-1")


def test_without_a_template_there_is_no_link() -> None:
    assert link_of(checked_template(""), TASK, NOW) == ""


def test_the_example_is_one() -> None:
    assert checked_template(EXAMPLE) == EXAMPLE


@pytest.mark.parametrize(
    ("template", "fault"),
    [
        ("https://x/{task_id}/{tasks}", "has {tasks}, which is none of {task_id}, {root_id}"),
        ("https://x/all?from={start}", "has none of {task_id}, {root_id}, {run}, {request_id}"),
        ("kibana.example.com/{task_id}", "is no address that begins with https:// or http://"),
        ("javascript:alert('{task_id}')", "is no address"),
        ("https://{task_id}.example.com/", "is no address"),
        ("https://x/{task_id} and", "has blanks"),
        ("https://x/{task_id}\n", "has blanks or characters that can't be seen"),
        ("https://x/{task_id}" + "x" * 4000, "has 4019 characters, at most 4000"),
    ],
)
def test_a_template_at_fault_is_refused_with_the_fault(template: str, fault: str) -> None:
    with pytest.raises(ValueError) as refused:
        checked_template(template)
    assert str(refused.value).startswith(fault)
