"""The SQL of lists of runs: a page goes by an index, also that of a rare state or outcome."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from services.kernel.pages import Place
from services.kernel.parameters import Parameters
from services.scheduler.schedule.definition import RunState

# How a run of that state stands in its row, in the words of the indexes that find it.
UNSENT = "recorded_state IN ('lost', 'skipped', 'waiting')"
WRITTEN_AS = {
    RunState.PENDING: (
        "recorded_state = 'batched' AND outcome IS NULL"
        " AND batch_id IN (SELECT id FROM celery_schedule_batches WHERE published_at IS NULL)"
    ),
    RunState.PUBLISHED: "recorded_state = 'batched'",
    RunState.SKIPPED: UNSENT,
    RunState.WAITING: UNSENT,
    RunState.LOST: UNSENT,
}
# Of runs that ended, but not well: the same for these.
SUCCESS, ENDED_OTHERWISE = "SUCCESS", "outcome <> 'SUCCESS'"


@dataclass(frozen=True)
class RunFilter:
    """Which runs; empty and None match any.

    `outcomes`: Celery's states, as rows have them. Due times from `start` on, and before `end`.
    """

    schedule_id: str = ""
    state: RunState | None = None
    outcomes: frozenset[str] = frozenset()
    start: dt.datetime | None = None
    end: dt.datetime | None = None


EVERY_RUN = RunFilter()


def listing_runs(wanted: RunFilter, before: Place | None, most: int) -> tuple[str, Parameters]:
    """The query, and its values, for runs before (due time, schedule), newest first."""
    values = Parameters()
    conditions = ["true"]
    if wanted.schedule_id:
        conditions.append(f"schedule_id = {values.place(wanted.schedule_id)}")
    if wanted.state is not None:
        conditions += [f"state = {values.place(wanted.state.value)}", WRITTEN_AS[wanted.state]]
    if wanted.outcomes:
        conditions.append(f"outcome = ANY ({values.place(sorted(wanted.outcomes))}::text[])")
        if SUCCESS not in wanted.outcomes:
            conditions.append(ENDED_OTHERWISE)
    if wanted.start is not None:
        conditions.append(f"due_at >= {values.place(wanted.start)}")
    if wanted.end is not None:
        conditions.append(f"due_at < {values.place(wanted.end)}")
    if before is not None:
        due, schedule = map(values.place, before)
        conditions.append(f"(due_at, schedule_id) < ({due}, {schedule})")
    query = f"SELECT * FROM celery_schedule_runs_seen WHERE {' AND '.join(conditions)}"
    return f"{query} ORDER BY due_at DESC, schedule_id DESC LIMIT {values.place(most)}", values
