"""The SQL of lists of schedules and of runs. Each page is read by an index.

Schedules also have facets: one row for each task, queue and label that a schedule has. With them, a list of
the schedules of a rare task need not read all others. A filter asks for groups of facets: one group for the
wanted task names, one for the queues, and one for each label. A schedule has to have one facet of each group.
`matches` serves the filter of WatchSchedules, too.
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
    """Which schedules are wanted. Empty and None match any.

    One of the task names has to match, one of the queues, and each of the labels (name, value).
    """

    text: str = ""
    task_names: tuple[str, ...] = ()
    queues: tuple[str, ...] = ()
    paused: bool | None = None
    labels: tuple[tuple[str, str], ...] = ()


EVERY = ScheduleFilter()
# For the search for a rare facet: without these, the planner may read all rows of a common facet, where the
# LIMIT needs a few of them.
SETTINGS = "SELECT set_config('enable_seqscan', 'off', true), set_config('enable_bitmapscan', 'off', true)"


def listing(wanted: ScheduleFilter, after: str, most: int, rare: int | None = None) -> tuple[str, Parameters]:
    """Returns the query, with its values, for whole rows with an id beyond `after`, ordered by id.

    `rare` is the index of a rare group, by which alone schedules are found; if None, by all groups.
    Task, queue and label are looked up in the facets, whose index has the order of the list. A facet is a
    hash, so the condition is checked on the row, too.
    """
    values = Parameters()
    beyond = values.place(after)
    groups, conditions = _asked(wanted, values)
    groups = groups if rare is None else groups[rare : rare + 1]
    conditions.append(f"s.id > {beyond}")
    source, order = "celery_schedules s", "s.id"
    if groups:
        source, order = _rows_of(_found(groups, beyond)), "schedule_id"
    query = f"SELECT s.* FROM {source} WHERE {' AND '.join(conditions)} ORDER BY {order}"
    return f"{query} LIMIT {values.place(most)}", values


def needs_a_rare_facet(wanted: ScheduleFilter) -> bool:
    """Returns whether `listing` must know a rare group: if several facets are to be merged and joined.

    The planner has no statistics of what is merged, and joins a rare task with the whole of a common queue.
    """
    sizes = [len(wanted.task_names), len(wanted.queues), *(1 for _ in wanted.labels)]
    return max(sizes) > 1 and sum(map(bool, sizes)) > 1


def a_rare_facet(wanted: ScheduleFilter) -> tuple[str, Parameters] | None:
    """Returns the query for the index of the first wanted group that is rare; None without wanted facets."""
    values = Parameters()
    groups, _ = _asked(replace(wanted, text="", paused=None), values)
    if not groups:
        return None
    asked = ", ".join(f"({number}, {facet})" for number, facets in enumerate(groups) for facet in facets)
    few = f"SELECT FROM celery_schedule_facets f WHERE f.facet = asked.facet LIMIT {FEW + 1}"
    query = (
        f"SELECT number FROM (VALUES {asked}) AS asked (number, facet),"
        f" LATERAL (SELECT count(*) AS found FROM ({few}) AS those) AS counted"
        f" GROUP BY number HAVING sum(found) <= {FEW} ORDER BY number LIMIT 1"
    )
    return query, values


def listing_by_next_run(
    wanted: ScheduleFilter, after: Place | None, rare: int | None, most: int
) -> tuple[str, Parameters]:
    """Returns the query, with its values, for whole rows after (moment of sending, id), in that order.

    `rare` is the index of a rare group: all schedules that have a facet of it are sorted. If None, rows are
    read in the order of the dispatcher's index until enough are found.
    """
    values = Parameters()
    groups, conditions = _asked(wanted, values)
    conditions.append("s.next_run_at IS NOT NULL")
    if after is not None:
        moment, identity = (values.place(part) for part in after)
        conditions.append(f"s.next_run_at >= {moment} AND (s.next_run_at, s.id) > ({moment}, {identity})")
    source = "celery_schedules s" if rare is None else _rows_of(_found(groups[rare : rare + 1], "''"))
    query = f"SELECT s.* FROM {source} WHERE {' AND '.join(conditions)} ORDER BY s.next_run_at, s.id"
    return f"{query} LIMIT {values.place(most)}", values


def matches(wanted: ScheduleFilter, values: Parameters) -> str:
    """Returns the condition that a row `s` of celery_schedules matches; adds its values to `values`."""
    _, conditions = _asked(wanted, values)
    return " AND ".join(conditions) or "true"


def _asked(wanted: ScheduleFilter, values: Parameters) -> tuple[list[list[str]], list[str]]:
    """Returns the wanted groups of facets, and the conditions on the row `s`.

    The conditions are complete without the facets.
    """
    groups: list[list[str]] = []
    conditions: list[str] = []
    for column, names in (("task", wanted.task_names), ("queue", wanted.queues)):
        if names:
            places = [f"{values.place(name)}::text" for name in names]
            groups.append([f"celery_schedule_facet('{column}', {place})" for place in places])
            conditions.append(f"s.{column} IN ({', '.join(places)})")
    for pair in wanted.labels:
        label, value = (f"{values.place(part)}::text" for part in pair)
        groups.append([f"celery_schedule_facet('label ' || {label}, {value})"])
        conditions.append(f"s.labels ->> {label} = {value}")
    if wanted.paused is not None:
        conditions.append(f"s.paused = {values.place(wanted.paused)}")
    if wanted.text:
        text = f"lower({values.place(wanted.text)}::text)"
        # The id's collation is by bytes, where lower() changes A to Z only; so the default one is named.
        all_text = "(s.id || ' ' || s.task || ' ' || s.description) COLLATE \"default\""
        conditions.append(f"position({text} IN lower({all_text})) > 0")
    return groups, conditions


def _found(groups: list[list[str]], after: str) -> str:
    """Returns the query for the ids beyond `after` that have a facet of each of these groups, in order.

    OFFSET 0 makes the planner read the facets first and then the schedules one by one. Left to itself, it
    searches all schedules for those of a rare task, or reads and sorts all those of a common one.
    """
    tables = [f"({_with_one_of(facets, after)}) AS f{number}" for number, facets in enumerate(groups)]
    joined = " JOIN ".join([tables[0], *(f"{table} USING (schedule_id)" for table in tables[1:])])
    return f"SELECT schedule_id FROM {joined} ORDER BY schedule_id OFFSET 0"


def _with_one_of(facets: list[str], after: str) -> str:
    """Returns the query for the ids beyond `after` that have one of these facets.

    A query for each facet, not `facet = ANY`: each gives its ids in order, so that the planner merges them,
    and a page ends the search early. No schedule has two facets of a group: it has one task and one queue.
    """
    queries = [
        f"SELECT schedule_id FROM celery_schedule_facets WHERE facet = {facet} AND schedule_id > {after}"
        for facet in facets
    ]
    if len(queries) == 1:
        return queries[0]
    return " UNION ALL ".join(f"({query} ORDER BY schedule_id)" for query in queries)


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
    states: frozenset[RunState] = frozenset()
    outcomes: frozenset[str] = frozenset()
    start: dt.datetime | None = None
    end: dt.datetime | None = None


EVERY_RUN = RunFilter()
NEWEST_FIRST = "ORDER BY due_at DESC, schedule_id DESC"


def listing_runs(wanted: RunFilter, before: Place | None, most: int) -> tuple[str, Parameters]:
    """Returns the query, with its values, for runs before (due time, schedule), newest first.

    Each wanted state has a query of its own, which finds a page by the index of that state.
    """
    values = Parameters()
    conditions = _conditions(wanted, before, values)
    limit = f"{NEWEST_FIRST} LIMIT {values.place(most)}"
    queries = [
        _runs([*conditions, f"state = {values.place(state.value)}", WRITTEN_AS[state]], limit)
        for state in sorted(wanted.states, key=lambda state: state.value)
    ]
    if not queries:
        return _runs(conditions, limit), values
    if len(queries) == 1:
        return queries[0], values
    parts = " UNION ALL ".join(f"({query})" for query in queries)
    return f"SELECT * FROM ({parts}) AS runs {limit}", values


def _runs(conditions: list[str], limit: str) -> str:
    return f"SELECT * FROM celery_schedule_runs_seen WHERE {' AND '.join(conditions)} {limit}"


def _conditions(wanted: RunFilter, before: Place | None, values: Parameters) -> list[str]:
    conditions = ["true"]
    if wanted.schedule_id:
        conditions.append(f"schedule_id = {values.place(wanted.schedule_id)}")
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
    return conditions
