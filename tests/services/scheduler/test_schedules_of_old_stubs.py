"""A client with the stubs of 0.1 speaks to the scheduler: what has changed is refused, nothing is misread."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from celeriac.scheduler.v1 import schedules_pb2 as pb

from tests.support.old_stubs import answers_to_old_client, old_stubs
from tests.support.schedulers import Scheduler

NAME = "schedules/of-an-old-client"
DAILY = {"crontab": {"expression": "0 3 * * *"}}
SUNSET = {"solar": {"event": "SOLAR_EVENT_SUNSET", "latitude": 25.0, "longitude": 121.5}}
# Method, request, the status of the answer, and words of its message.
CALLS: list[tuple[str, dict[str, Any], str, str]] = [
    (
        "CreateSchedule",
        {"schedule": {"name": NAME, "task": {"name": "sweep", "queue": "jobs"}, "timing": DAILY}},
        "INVALID_ARGUMENT",
        "for example: queues/ai_analysis",
    ),
    (
        "CreateSchedule",
        {"schedule": {"name": NAME, "task": {"name": "sweep"}, "timing": SUNSET}},
        "INVALID_ARGUMENT",
        "schedule.timing.solar.2 is a number that celeriac.scheduler.v1.Solar no longer has",
    ),
    ("ListRuns", {"state": "RUN_STATE_LOST"}, "INVALID_ARGUMENT", "older stubs"),
    ("ListSchedules", {"label": "team=growth"}, "INVALID_ARGUMENT", "older stubs"),
    ("ListSchedules", {"order": "SCHEDULE_ORDER_NEXT_RUN_TIME"}, "INVALID_ARGUMENT", "older stubs"),
    ("WatchSchedules", {"queue": "jobs"}, "INVALID_ARGUMENT", "older stubs"),
    # The registered name has kept its number.
    ("CreateSchedule", {"schedule": {"name": NAME, "task": {"name": "sweep"}, "timing": DAILY}}, "OK", ""),
    ("PauseSchedule", {"name": NAME, "note": "moving"}, "OK", ""),
]


@pytest.fixture(scope="module")
def stubs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return old_stubs(tmp_path_factory.mktemp("stubs"))


def test_an_old_client_is_told_what_has_changed(lone_scheduler: Scheduler, stubs: Path) -> None:
    calls = [
        {
            "module": "scheduler.v1.schedules",
            "service": "ScheduleService",
            "method": method,
            "request": request,
        }
        for method, request, _, _ in CALLS
    ]
    answers = answers_to_old_client(stubs, lone_scheduler.process, lone_scheduler.token, calls)
    for (method, _, code, words), answer in zip(CALLS, answers, strict=True):
        assert answer["code"] == code, (method, answer)
        assert words in answer.get("message", ""), (method, answer)
    found = lone_scheduler.schedules.GetSchedule(pb.GetScheduleRequest(name=NAME)).schedule
    assert (found.task.task_name, found.paused, found.pause_note) == ("sweep", True, "moving")
