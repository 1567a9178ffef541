"""The SQL that counts failures.

Tracebacks are compared in the database and not carried out of it: there may be a hundred thousand, of some kB
each. Those with the same last frame are alike, and where that frame is a library's, those with the same
frames: the line of the application that called the library is further up. One traceback of each is returned.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Column, ColumnElement, Select, case, func, or_, select
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.ext.asyncio import AsyncSession

from services.monitor.tasks.failures import MOST_MESSAGE, AlikeFailures
from services.monitor.tasks.store_listing import TaskFilter, c, matching

# So many are counted, the newest first.
MOST_COUNTED = 100_000
_FRAME = '\n  File "'
# What the path of a library has; it may be a Windows path.
_OF_LIBRARIES = ("-packages/", "/lib/python3", "-packages\\", "\\Lib\\", "<frozen ")
# The lines of the last traceback of a chain, without the exception that follows them.
_FRAMES = r"^[^\n]*(?:\n\s[^\n]*)*"


class Counted(NamedTuple):
    """`since`: if not all were counted, the first event of the oldest that was."""

    failures: Sequence[AlikeFailures]
    since: dt.datetime | None


async def count_failures(session: AsyncSession, wanted: TaskFilter) -> Counted:
    """Counts the failures that the filter lets through, those that are alike together."""
    rows = (await session.execute(_counting(wanted))).all()
    failures = [
        AlikeFailures(
            row.task or "",
            row.exception_type or "",
            row.count,
            row.first_at,
            row.last_at,
            row.id,
            row.message or "",
            row.traceback or "",
        )
        for row in rows
    ]
    is_all = sum(each.count for each in failures) < MOST_COUNTED
    return Counted(failures, None if is_all else min(row.oldest_at for row in rows))


def _counting(wanted: TaskFilter) -> Select[Any]:
    newest = (
        select(
            c.id, c.task, c.exception_type, c.failed_at, c.heard_at, _likeness(c.traceback).label("likeness")
        )
        .where(*matching(wanted, None))
        .order_by(c.heard_at.desc(), c.id.desc())
        .limit(MOST_COUNTED)
        .cte("newest")
    )
    seen = newest.c
    by_time = aggregate_order_by(seen.id, seen.failed_at.desc(), seen.id.desc())
    alike = (
        select(
            seen.task,
            seen.exception_type,
            func.count().label("count"),
            func.min(seen.failed_at).label("first_at"),
            func.max(seen.failed_at).label("last_at"),
            func.min(seen.heard_at).label("oldest_at"),
            func.array_agg(by_time)[1].label("id"),
        )
        .group_by(seen.task, seen.exception_type, seen.likeness)
        .cte("alike")
    )
    shown = func.left(c.exception_message, MOST_MESSAGE).label("message"), c.traceback
    return select(alike, *shown).join_from(alike, c.id.table, c.id == alike.c.id)


def _likeness(traceback: Column[Any]) -> ColumnElement[str]:
    """Two tracebacks that have the same of it were raised at the same place."""
    last = func.split_part(func.split_part(traceback, _FRAME, -1), "\n", 1)
    whole = func.substring(func.split_part(traceback, "\nTraceback", -1), _FRAMES)
    of_library = or_(*(func.strpos(last, part) > 0 for part in _OF_LIBRARIES))
    return func.md5(case((of_library, whole), else_=last))
