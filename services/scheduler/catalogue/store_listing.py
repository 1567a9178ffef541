"""The SQL of lists of schedules and of runs. Each page is read by an index.

Schedules also have facets: one row for each task, queue and label that a schedule has. With them, a list of
the schedules of a rare task need not read all others. `matches` serves the filter of WatchSchedules, too.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace

from services.kernel.pages import Place
from services.kernel.parameters import Parameters
from services.scheduler.schedule.definition import RunState

# A facet is rare if at most so many schedules have it: they are sorted in some tens of milliseconds. If more
# have it, even of a million schedules, reading in the order of the list finds a page soon enough.
FEW = 5000


@dataclass(frozen=True)
class ScheduleFilter:
    """Which schedules are wanted. Empty and None match any. A label is (name, value)."""

    text: str = ""
    task: str = ""
    queue: str = ""
    paused: bool | None = None
    label: tuple[str, str] | None = None


EVERY = ScheduleFilter()


def listing(wanted: ScheduleFilter, after: str, most: int) -> tuple[str, Parameters]:
    """Returns the query, with its values, for whole rows with an id beyond `after`, ordered by id.

    Task, queue and label are looked up in the facets, whose index has the order of the list. A facet is a
    hash, so the condition is checked on the row, too.
    """
    values = Parameters()
    beyond = values.place(after)
    facets, conditions = _asked(wanted, values)
    conditions.append(f"s.id > {beyond}")
    source, order = "celery_schedules s", "s.id"
    if facets:
        source, order = _rows_of(_found(facets, beyond)), "schedule_id"
    query = f"SELECT s.* FROM {source} WHERE {' AND '.join(conditions)} ORDER BY {order}"
    return f"{query} LIMIT {values.place(most)}", values


def a_rare_facet(wanted: ScheduleFilter) -> tuple[str, Parameters] | None:
    """Returns the query for the index of the first wanted facet that is rare; None without wanted facets."""
    values = Parameters()
    facets, _ = _asked(replace(wanted, text="", paused=None), values)
    if not facets:
        return None
    asked = ", ".join(f"({number}, {facet})" for number, facet in enumerate(facets))
    few = f"SELECT FROM celery_schedule_facets f WHERE f.facet = asked.facet LIMIT {FEW + 1}"
    query = f"SELECT number FROM (VALUES {asked}) AS asked (number, facet)"
    return f"{query} WHERE (SELECT count(*) FROM ({few}) AS those) <= {FEW} ORDER BY number LIMIT 1", values


def listing_by_next_run(
    wanted: ScheduleFilter, after: Place | None, rare: int | None, most: int
) -> tuple[str, Parameters]:
    """Returns the query, with its values, for whole rows after (moment of sending, id), in that order.

    `rare` is the index of a rare facet: all schedules that have it are sorted. If None, rows are read in the
    order of the dispatcher's index until enough are found.
    """
    values = Parameters()
    facets, conditions = _asked(wanted, values)
    conditions.append("s.next_run_at IS NOT NULL")
    if after is not None:
        moment, identity = (values.place(part) for part in after)
        conditions.append(f"s.next_run_at >= {moment} AND (s.next_run_at, s.id) > ({moment}, {identity})")
    source = "celery_schedules s" if rare is None else _rows_of(_found(facets[rare : rare + 1], "''"))
    query = f"SELECT s.* FROM {source} WHERE {' AND '.join(conditions)} ORDER BY s.next_run_at, s.id"
    return f"{query} LIMIT {values.place(most)}", values


def matches(wanted: ScheduleFilter, values: Parameters) -> str:
    """Returns the condition that a row `s` of celery_schedules matches; adds its values to `values`."""
    _, conditions = _asked(wanted, values)
    return " AND ".join(conditions) or "true"


def _asked(wanted: ScheduleFilter, values: Parameters) -> tuple[list[str], list[str]]:
    """Returns the wanted facets, and the conditions on the row `s`, which are complete without the facets."""
    facets: list[str] = []
    conditions: list[str] = []
    for name in ("task", "queue"):
        if value := getattr(wanted, name):
            place = f"{values.place(value)}::text"
            facets.append(f"celery_schedule_facet('{name}', {place})")
            conditions.append(f"s.{name} = {place}")
    if wanted.label is not None:
        label, value = (f"{values.place(part)}::text" for part in wanted.label)
        facets.append(f"celery_schedule_facet('label ' || {label}, {value})")
        conditions.append(f"s.labels ->> {label} = {value}")
    if wanted.paused is not None:
        conditions.append(f"s.paused = {values.place(wanted.paused)}")
    if wanted.text:
        text = f"lower({values.place(wanted.text)}::text)"
        # The id's collation is by bytes, where lower() changes A to Z only; so the default one is named.
        all_text = "(s.id || ' ' || s.task || ' ' || s.description) COLLATE \"default\""
        conditions.append(f"position({text} IN lower({all_text})) > 0")
    return facets, conditions


def _found(facets: list[str], after: str) -> str:
    """Returns the query for the ids beyond `after` that have all of these facets, in order.

    OFFSET 0 makes the planner read the facets first and then the schedules one by one. Left to itself, it
    searches all schedules for those of a rare task, or reads and sorts all those of a common one.
    """
    tables = ["celery_schedule_facets f0"]
    conditions = []
    for number, facet in enumerate(facets):
        conditions.append(f"f{number}.facet = {facet} AND f{number}.schedule_id > {after}")
        if number > 0:
            tables.append(f"JOIN celery_schedule_facets f{number} USING (schedule_id)")
    return (
        f"SELECT schedule_id FROM {' '.join(tables)} WHERE {' AND '.join(conditions)}"
        " ORDER BY schedule_id OFFSET 0"
    )


def _rows_of(found: str) -> str:
    row = "SELECT * FROM celery_schedules WHERE id = found.schedule_id OFFSET 0"
    return f"({found}) AS found, LATERAL ({row}) AS s"


# The condition on the rows of runs in a state, worded like the conditions of the partial indexes.
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
# The same for runs that ended without success.
SUCCESS, ENDED_OTHERWISE = "SUCCESS", "outcome <> 'SUCCESS'"


@dataclass(frozen=True)
class RunFilter:
    """Which runs are wanted. Empty and None match any.

    `outcomes`: Celery's states, as stored. Due times are from `start` on and before `end`.
    """

    schedule_id: str = ""
    state: RunState | None = None
    outcomes: frozenset[str] = frozenset()
    start: dt.datetime | None = None
    end: dt.datetime | None = None


EVERY_RUN = RunFilter()


def listing_runs(wanted: RunFilter, before: Place | None, most: int) -> tuple[str, Parameters]:
    """Returns the query, with its values, for runs before (due time, schedule), newest first."""
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
