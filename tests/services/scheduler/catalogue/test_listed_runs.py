"""Which runs ListRuns gives: by schedule, state, outcome and due time, page by page."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from celeriac.scheduler.v1 import schedules_pb2 as pb
from google.protobuf.timestamp_pb2 import Timestamp

from tests.support.calls import all_listed, fields_at_fault, refused
from tests.support.runs import schedule_of_run
from tests.support.schedules import CRONTAB, HOUR, MINUTE, at, create, schedule_of
from tests.support.sql import fetch_sync

SUCCEEDED, FAILED = pb.RUN_OUTCOME_SUCCEEDED, pb.RUN_OUTCOME_FAILED
REVOKED, REJECTED = pb.RUN_OUTCOME_REVOKED, pb.RUN_OUTCOME_REJECTED
# Hour by hour back from now; None: no end was heard yet.
OUTCOMES = ["FAILURE", "SUCCESS", None, "REVOKED", "FAILURE", "SUCCESS", "FAILURE"]
HISTORY = """
    WITH batch AS (INSERT INTO celery_schedule_batches (published_at) VALUES (now()) RETURNING id)
    INSERT INTO celery_schedule_runs (schedule_id, due_at, state, reason, batch_id, outcome)
    SELECT $1, due, 'batched', 'due', id, outcome
    FROM batch, unnest($2::timestamptz[], $3::text[]) AS run (due, outcome)
"""
SKIPPED = """
    INSERT INTO celery_schedule_runs (schedule_id, due_at, state, reason) VALUES ($1, $2, 'skipped', 'missed')
"""


class History:
    """A schedule, whose runs were due an hour apart, the last of them at `newest`."""

    def __init__(self, schedules: Any, url: str) -> None:
        self._calls = schedules
        self.name = create(schedules, schedule_of(CRONTAB)).name
        self.newest = dt.datetime.now(dt.UTC).replace(microsecond=0)
        identity = self.name.removeprefix("schedules/")
        due = [self.newest - hours * HOUR for hours in range(len(OUTCOMES))]
        fetch_sync(url, HISTORY, identity, due, OUTCOMES)
        fetch_sync(url, SKIPPED, identity, self.newest - MINUTE)

    def hours(self, parent: str | None = None, **wanted: Any) -> list[float]:
        """How many hours before the newest one each run was due that is listed, two a page."""
        parent = self.name if parent is None else parent
        request = pb.ListRunsRequest(parent=parent, page_size=2, **wanted)
        runs = [
            run
            for run in all_listed(self._calls.ListRuns, request, "runs")
            if schedule_of_run(run) == self.name
        ]
        return [(self.newest - run.due_time.ToDatetime(dt.UTC)) / HOUR for run in runs]


@pytest.fixture(scope="module")
def history(lone_scheduler: Any, database_url: str) -> History:
    return History(lone_scheduler.schedules, database_url)


@pytest.mark.parametrize(
    ("outcomes", "hours"),
    [
        ([], [0, 1 / 60, 1, 2, 3, 4, 5, 6]),
        ([FAILED], [0, 4, 6]),
        ([FAILED, REVOKED, FAILED], [0, 3, 4, 6]),
        ([SUCCEEDED], [1, 5]),
        ([SUCCEEDED, REVOKED], [1, 3, 5]),
        ([REJECTED], []),
    ],
)
@pytest.mark.parametrize("parent", [None, ""], ids=["of the schedule", "of all"])
def test_runs_are_listed_by_any_of_some_outcomes(
    history: History, parent: str | None, outcomes: list[int], hours: list[float]
) -> None:
    assert history.hours(parent, outcomes=outcomes) == pytest.approx(hours)


def test_a_window_of_due_times_has_its_start_and_not_its_end(history: History) -> None:
    start, end = at(history.newest - 4 * HOUR), at(history.newest - HOUR)
    assert history.hours(start_time=start, end_time=end) == [2, 3, 4]
    assert history.hours(start_time=start) == pytest.approx([0, 1 / 60, 1, 2, 3, 4])
    assert history.hours(end_time=end) == [2, 3, 4, 5, 6]
    assert history.hours(start_time=at(history.newest + HOUR)) == []


def test_filters_of_runs_hold_together(history: History) -> None:
    start, end = at(history.newest - 4 * HOUR), at(history.newest)
    for parent in (None, ""):
        assert history.hours(parent, start_time=start, end_time=end, outcomes=[FAILED, REVOKED]) == [3, 4]
        skipped = history.hours(parent, start_time=start, states=[pb.RUN_STATE_SKIPPED])
        assert skipped == pytest.approx([1 / 60])
        assert history.hours(parent, outcomes=[FAILED], states=[pb.RUN_STATE_PUBLISHED]) == [0, 4, 6]
        assert history.hours(parent, outcomes=[FAILED], states=[pb.RUN_STATE_PENDING]) == []
        both = history.hours(parent, states=[pb.RUN_STATE_SKIPPED, pb.RUN_STATE_PUBLISHED], end_time=end)
        assert both == pytest.approx([1 / 60, 1, 2, 3, 4, 5, 6])


@pytest.mark.parametrize(
    ("fields", "at_fault"),
    [
        ({"states": [77]}, ["states"]),
        ({"states": [pb.RUN_STATE_SKIPPED, pb.RUN_STATE_UNSPECIFIED]}, ["states"]),
        ({"outcomes": [FAILED, 77]}, ["outcomes"]),
        ({"outcomes": [pb.RUN_OUTCOME_UNSPECIFIED, 77]}, ["outcomes"]),
        ({"outcomes": [pb.RUN_OUTCOME_UNSPECIFIED]}, ["outcomes"]),
        ({"start_time": Timestamp(seconds=100), "end_time": Timestamp(seconds=100)}, ["end_time"]),
        ({"start_time": Timestamp(seconds=100), "end_time": Timestamp(seconds=99)}, ["end_time"]),
        ({"start_time": Timestamp(seconds=2**40), "outcomes": [77]}, ["outcomes", "start_time"]),
        ({"end_time": Timestamp(nanos=-1)}, ["end_time"]),
        # Year 1, as Go and .NET have it when unset.
        ({"start_time": Timestamp(seconds=-62135596800)}, ["start_time"]),
    ],
)
def test_a_filter_of_runs_that_makes_no_sense_is_refused_by_field(
    schedules: Any, fields: dict[str, Any], at_fault: list[str]
) -> None:
    assert sorted(fields_at_fault(schedules.ListRuns, pb.ListRunsRequest(**fields))) == at_fault


def test_an_outcome_that_no_run_has_is_told_with_those_that_there_are(schedules: Any) -> None:
    _, told = refused(schedules.ListRuns, pb.ListRunsRequest(outcomes=[pb.RUN_OUTCOME_UNSPECIFIED]))
    ends = "RUN_OUTCOME_SUCCEEDED, RUN_OUTCOME_FAILED, RUN_OUTCOME_REVOKED, RUN_OUTCOME_REJECTED"
    assert f"outcomes has RUN_OUTCOME_UNSPECIFIED, not one of {ends}, RUN_OUTCOME_ENDED" in told
