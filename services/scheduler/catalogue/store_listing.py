"""The SQL of lists of schedules: a page goes by an index, also that of a rare task, queue or label.

And of what a filter of schedules is, for those who watch by one.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace

from services.kernel.pages import Place
from services.kernel.parameters import Parameters
from services.scheduler.schedule.definition import RunState

# So many schedules are sorted in some tens of milliseconds. Of a facet that more have, of a million, a page
# is found in the order of the list soon enough.
FEW = 5000


@dataclass(frozen=True)
class ScheduleFilter:
    """Which schedules; empty and None match any. A label is (name, value)."""

    text: str = ""
    task: str = ""
    queue: str = ""
    paused: bool | None = None
    label: tuple[str, str] | None = None


EVERY = ScheduleFilter()


def listing(wanted: ScheduleFilter, after: str, most: int) -> tuple[str, Parameters]:
    """The query, and its values, for whole rows with an id beyond `after`, by id.

    Task, queue and label are looked up among the facets, which are kept in the order of the list. As a facet
    is a hash, the rows are asked themselves, too.
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
    """The query for the number of a facet that only FEW schedules have; None when no facet is asked for."""
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
    """The query, and its values, for whole rows beyond the moment of sending and the id, what is next first.

    All that have the rare facet are sorted; without one, rows are taken in the order of the index that
    dispatching uses, until enough are found.
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
    """The condition that a row of celery_schedules, `s`, is one of those; its values are added."""
    _, conditions = _asked(wanted, values)
    return " AND ".join(conditions) or "true"


def _asked(wanted: ScheduleFilter, values: Parameters) -> tuple[list[str], list[str]]:
    """The facets that are asked for, and conditions on the row, `s`, which say all by themselves."""
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
        # Ids compare as bytes, in which only a to z have another case.
        all_text = "(s.id || ' ' || s.task || ' ' || s.description) COLLATE \"default\""
        conditions.append(f"position({text} IN lower({all_text})) > 0")
    return facets, conditions


def _found(facets: list[str], after: str) -> str:
    """The ids beyond `after` that have all of these facets, in order.

    OFFSET 0 keeps the planner to this order, facets first and then row by row: by itself it takes schedules
    of a rare task to be found soon among all, or fetches all of a common one to sort them.
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
