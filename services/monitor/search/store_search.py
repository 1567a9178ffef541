"""Searches in many tasks: by a text, or by several filters at once.

Tasks that are in no slice of the index yet are few: they are looked at one by one. For the others, the index
gives candidates, slice by slice from the newest on, until the page is full. Candidates are read by their ids,
and so are the late tasks, which the index may describe as they were before; the filter decides on each. A
search that finds nothing reads a few blocks of each slice, and hardly a task.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, TypeAlias

from sqlalchemy import ARRAY, Select, Text, any_, bindparam, func, select, text, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from services.kernel.pages import Place
from services.monitor.search.grams import Group, groups_of
from services.monitor.search.postings import Found, Tasks, in_all, newest_first
from services.monitor.search.store_slices import PORTION
from services.monitor.tables import late
from services.monitor.tasks.store_listing import IN_SHORT, TaskFilter, c, matching
from services.monitor.tasks.store_tasks import TaskStore
from services.monitor.tasks.tasks import Task

# So many slices are asked at once. A frequent word fills a page from the first ones.
FIRST_SLICES, SLICES = 16, 128
# So many groups of keys are asked for at once. Where a slice has none of one group, the others are not read.
GROUPS = 3
# So many candidates are read at once, at least and at most; four times as many after each round in vain.
FEWEST, MOST = 128, 2048

# A task of a slice: the slice's id, and the task's number in it.
Candidate: TypeAlias = tuple[int, int]


class Slice(NamedTuple):
    """The tasks after a place, up to another. None: from the beginning on. Numbered from `first` on."""

    id: int
    first: int
    after: Place | None
    to: Place


SLICES_OF_INDEX = text("""
    SELECT id, first, to_at, to_id, lower(:text) FROM celery_task_slices ORDER BY to_at, to_id
""")
# Of each slice and each range of keys: the block that may begin before the range, and those that begin in it.
BLOCKS = text("""
    WITH asked AS (
        SELECT slice, number, low, high
        FROM unnest(CAST(:slices AS bigint[])) AS slice,
            unnest(CAST(:numbers AS int[]), CAST(:lows AS bigint[]), CAST(:highs AS bigint[]))
                AS keys (number, low, high)
    )
    SELECT asked.*, first, block FROM asked, LATERAL (
        SELECT first, block FROM celery_task_grams AS grams
        WHERE grams.slice = asked.slice AND first <= asked.low ORDER BY first DESC LIMIT 1
    ) AS one
    UNION ALL
    SELECT asked.*, first, block FROM asked, LATERAL (
        SELECT first, block FROM celery_task_grams AS grams
        WHERE grams.slice = asked.slice AND first > asked.low AND first <= asked.high ORDER BY first OFFSET 0
    ) AS several
    WHERE asked.low < asked.high
""")
PLACES = text("""
    SELECT heard_ats[place], ids[place]
    FROM unnest(CAST(:slices AS bigint[]), CAST(:portions AS int[]), CAST(:places AS int[]))
        WITH ORDINALITY AS wanted (slice, portion, place, number)
    JOIN celery_task_slice_ids USING (slice, portion)
    ORDER BY number
""")
# The last portion of a slice that begins before a place.
LAST_PORTION = text("""
    SELECT coalesce(max(portion), 0) FROM celery_task_slice_ids
    WHERE slice = :slice AND (heard_ats[1], ids[1]) < (:at, :id)
""")


class TaskSearch:
    """Lists tasks in one session, which is a transaction on one snapshot."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session
        self._tasks = TaskStore(session)

    async def list(self, wanted: TaskFilter, after: Place | None, most: int) -> Sequence[Task]:
        """Returns tasks after the position, by the time of their first event, newest first."""
        slices, lowered = await self._slices(wanted.text) if needs_index(wanted) else ([], "")
        if not slices:
            return await self._tasks.list(wanted, after, most)
        found = list(await self._tasks.list(wanted, after, most, newer_than=slices[0].to))
        if len(found) < most:
            walk = _Walk(self._session, wanted, groups_of(wanted, lowered), after)
            found += await walk.through(list(_within(slices, wanted, walk.before)), most - len(found))
        return found

    async def _slices(self, searched: str) -> tuple[Sequence[Slice], str]:
        """Returns the slices, the newest first, and the text in lower case, as PostgreSQL makes it."""
        slices: list[Slice] = []
        before = None
        rows = (await self._session.execute(SLICES_OF_INDEX, {"text": searched})).all()
        for slice_id, first, at, last, _ in rows:
            slices.append(Slice(slice_id, first, before, (at, last)))
            before = at, last
        return slices[::-1], rows[0][-1] if rows else ""


class _Walk:
    """Goes through slices of the index, from the newest on, for one page of one search."""

    def __init__(
        self, session: AsyncSession, wanted: TaskFilter, groups: Sequence[Group], after: Place | None
    ) -> None:
        self._session = session
        self._tasks = TaskStore(session)
        self._wanted = wanted
        self._groups = groups
        self._after = after
        # All wanted tasks stand before this place in time, which is after it in the list.
        ends = [place for place in (after, (wanted.end, "") if wanted.end else None) if place is not None]
        self.before: Place | None = min(ends, key=lambda place: _comparable(place[0]), default=None)

    async def through(self, slices: Sequence[Slice], most: int) -> Sequence[Task]:
        """Returns the first tasks of the slices, which lie side by side, at most so many."""
        found: list[Task] = []
        candidates: list[Candidate] = []
        size = min(max(2 * most, FEWEST), MOST)
        high = slices[0].to if slices else None
        for asked in _in_turn(slices):
            candidates += await self._candidates(asked)
            ended = asked[-1] is slices[-1]
            while high is not None and (ended or len(candidates) >= most - len(found)):
                low, there = await self._strip(candidates[: size + 1], size, high, asked[-1].after, most)
                found += there[: most - len(found)]
                if len(found) == most:
                    return found
                candidates, size, high = candidates[size:], min(4 * size, MOST), low
                if not candidates:
                    break
        return found

    async def _candidates(self, slices: Sequence[Slice]) -> Sequence[Candidate]:
        """Returns the tasks of the slices that have a key of each group, the newest first."""
        having: dict[int, Tasks | None] = {each.id: None for each in slices}
        for begin in range(0, len(self._groups), GROUPS):
            groups = self._groups[begin : begin + GROUPS]
            asked = await self._having(list(having), groups)
            cut = {each: in_all(founds, having[each]) for each, founds in asked.items()}
            having = {each: tasks for each, tasks in cut.items() if tasks}
            if not having:
                return []
        candidates = [
            (each.id, number)
            for each in slices
            for number in newest_first(having.get(each.id) or 0)
            if number >= each.first
        ]
        return await self._without_later(slices[0], candidates)

    async def _having(self, slices: Sequence[int], groups: Sequence[Group]) -> dict[int, list[Found]]:
        """Returns for each slice which of its tasks have a key of each of the groups."""
        having = {each: [Found() for _ in groups] for each in slices}
        asked = [(number, keys) for number, group in enumerate(groups) for keys in group]
        values = {
            "slices": list(slices),
            "numbers": list(range(len(asked))),
            "lows": [keys.low for _, keys in asked],
            "highs": [keys.high for _, keys in asked],
        }
        for slice_id, place, _, _, first, block in await self._session.execute(BLOCKS, values):
            number, keys = asked[place]
            having[slice_id][number].take(first, block, keys)
        return having

    async def _without_later(self, newest: Slice, candidates: Sequence[Candidate]) -> Sequence[Candidate]:
        """Leaves out candidates of the first slice that stand before the page in the list."""
        if self.before is None or _comparable(self.before[0]) > _comparable(newest.to[0]):
            return candidates
        at, last = self.before
        values = {"slice": newest.id, "at": at, "id": last}
        end = (int(await self._session.scalar(LAST_PORTION, values) or 0) + 1) * PORTION
        return [(each, number) for each, number in candidates if each != newest.id or number < end]

    async def _places(self, candidates: Sequence[Candidate]) -> Sequence[Place]:
        if not candidates:
            return []
        values = {
            "slices": [each for each, _ in candidates],
            "portions": [number // PORTION for _, number in candidates],
            "places": [number % PORTION + 1 for _, number in candidates],
        }
        return [(at, identity) for at, identity in await self._session.execute(PLACES, values)]

    async def _strip(
        self, candidates: Sequence[Candidate], size: int, high: Place, end: Place | None, most: int
    ) -> tuple[Place | None, Sequence[Task]]:
        """Returns the wanted tasks up to `high`: of the first candidates, and of the late tasks beside them.

        Also returns the place down to which it looked: that of the candidate after `size` others, else `end`.
        """
        places = await self._places(candidates)
        low = places[size] if len(places) > size else end
        ids = [identity for _, identity in places[:size]]
        return low, await self._tasks.found_by(strip(self._wanted, self._after, ids, low, high, most))


def strip(
    wanted: TaskFilter, after: Place | None, ids: Sequence[str], low: Place | None, high: Place, most: int
) -> Select[Any]:
    """Returns the query for those of the candidates, and of the late tasks, that stand between two places."""
    noted = select(late.c.id).where(tuple_(late.c.heard_at, late.c.id) <= high)
    if low is not None:
        noted = noted.where(tuple_(late.c.heard_at, late.c.id) > low)
    listed = bindparam("ids", list(ids), type_=ARRAY(Text))
    read = c.id == any_(func.array_cat(listed, func.array(noted.scalar_subquery(), type_=ARRAY(Text))))
    # The OFFSET keeps PostgreSQL from reading all tasks between the places, in the order of the list.
    those = IN_SHORT.where(read, *matching(wanted, after)).offset(0).subquery()
    place = tuple_(those.c.heard_at, those.c.id)
    found = select(those).where(place <= high).order_by(those.c.heard_at.desc(), those.c.id.desc())
    return (found if low is None else found.where(place > low)).limit(most)


def needs_index(wanted: TaskFilter) -> bool:
    """Returns whether no index of the table gives the tasks in the order of the list, as for one filter.

    A workflow, and the tasks that one task called, are few enough to be looked at one by one.
    """
    if wanted.root or wanted.parent:
        return False
    filters = (wanted.states, wanted.tasks, wanted.queues, wanted.workers, wanted.exception_types)
    return bool(wanted.text) or sum(map(bool, filters)) > 1


def _within(slices: Sequence[Slice], wanted: TaskFilter, before: Place | None) -> Iterator[Slice]:
    """Yields the slices that may have tasks of the page."""
    for each in slices:
        is_newer = before is not None and each.after is not None
        if is_newer and _comparable(each.after[0]) > _comparable(before[0]):  # type: ignore[index]
            continue
        if wanted.start is not None and _comparable(each.to[0]) < wanted.start:
            return
        yield each


def _in_turn(slices: Sequence[Slice]) -> Iterator[Sequence[Slice]]:
    begin, size = 0, FIRST_SLICES
    while begin < len(slices):
        yield slices[begin : begin + size]
        begin, size = begin + size, SLICES


def _comparable(moment: dt.datetime) -> dt.datetime:
    """Returns the moment; the database's infinite ones with a time zone, as all others have."""
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
