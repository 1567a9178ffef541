"""The SQL by which groups of questions are shown: how often each was asked, and what belongs to it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from services.kernel.errors import NotFound

EXAMPLES = 4

STATE = """
    SELECT analysed_at, way, model, questions, revision,
        (SELECT count(*) FROM question_clusters WHERE size > 0) AS clusters,
        (SELECT count(*) FROM question_ungrouped WHERE kind = 'noise') AS noise,
        (SELECT count(*) FROM question_ungrouped WHERE kind = 'talk') AS talk,
        CAST(now() AT TIME ZONE CAST(:zone AS text) AS date) AS today
    FROM question_analysis
"""
SHOWN = """
    SELECT id, name, named_by, medoid, title, keywords, size, languages, first_seen_at
    FROM question_clusters WHERE size > 0 OR name <> ''
"""
# Period 0 is the last one, with today in it.
COUNTS = """
    SELECT cluster_id, (CAST(:today AS date) - day) / CAST(:days AS integer) AS period,
        sum(questions) AS asked
    FROM question_stats_daily
    WHERE day <= CAST(:today AS date)
        AND day > CAST(:today AS date) - CAST(:days AS integer) * CAST(:periods AS integer)
    GROUP BY 1, 2
"""
# The newest texts of each group, each text once.
EXAMPLE_IDS = """
    SELECT cluster_id, message_id FROM (
        SELECT *, row_number() OVER (PARTITION BY cluster_id ORDER BY created_at DESC, message_id) AS place
        FROM (
            SELECT DISTINCT ON (cluster_id, content_hash) cluster_id, message_id, created_at
            FROM question_cluster_members JOIN chat_messages ON id = message_id
            ORDER BY cluster_id, content_hash, created_at DESC, message_id
        ) AS texts
    ) AS placed WHERE place <= :most ORDER BY cluster_id, place
"""
# In both lists the newest come first.
MEMBERS = """
    SELECT message_id, created_at FROM question_cluster_members JOIN chat_messages ON id = message_id
    WHERE cluster_id = :id AND (CAST(:at AS timestamptz) IS NULL OR (created_at, id) < (:at, :after))
    ORDER BY created_at DESC, id DESC LIMIT :most
"""
UNGROUPED = """
    SELECT message_id, created_at, kind FROM question_ungrouped JOIN chat_messages ON id = message_id
    WHERE kind = ANY(:kinds) AND (CAST(:at AS timestamptz) IS NULL OR (created_at, id) < (:at, :after))
    ORDER BY created_at DESC, id DESC LIMIT :most
"""
DAYS = """
    SELECT day, questions FROM question_stats_daily
    WHERE cluster_id = :id AND day <= CAST(:today AS date)
        AND day > CAST(:today AS date) - CAST(:days AS integer)
    ORDER BY day
"""
NAME = "UPDATE question_clusters SET name = :name, named_by = :by WHERE id = :id RETURNING id"
CHANGED = "UPDATE question_analysis SET revision = revision + 1"


@dataclass(frozen=True)
class AnalysisState:
    """The last analysis: when and how it was made, of how many questions, and how many are in no group.

    `today` is the date in the platform's time zone.
    """

    analysed_at: dt.datetime
    way: str
    model: str
    questions: int
    clusters: int
    noise: int
    talk: int
    revision: int
    today: dt.date


@dataclass(frozen=True)
class ShownCluster:
    """A group. `counts` are of periods, the last one first; `examples` are ids of members, the newest first.

    Texts are not among these, but for `title` where no message has it: what is deleted is in no copy then.
    """

    id: int
    name: str
    named_by: str
    medoid: str
    title: str
    keywords: Sequence[str]
    size: int
    languages: Mapping[str, int]
    first_seen_at: dt.datetime
    counts: Sequence[int]
    examples: Sequence[str]


@dataclass(frozen=True)
class Listed:
    """A message in a list by time, and why it is in no group, if it is in none."""

    id: str
    at: dt.datetime
    kind: str = ""


class QuestionStore:
    """Groups of questions as they are shown, in one session."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def state(self, zone: str) -> AnalysisState | None:
        """Returns the state of the last analysis; None if there is none."""
        row = (await self._session.execute(text(STATE), {"zone": zone})).mappings().one_or_none()
        return AnalysisState(**row) if row else None

    async def clusters(self, today: dt.date, days: int, periods: int) -> list[ShownCluster]:
        """Returns all groups with how often they were asked in `periods` of `days`, the last one first."""
        values = {"today": today, "days": days, "periods": periods}
        counts: dict[int, list[int]] = {}
        for row in await self._session.execute(text(COUNTS), values):
            counts.setdefault(row.cluster_id, [0] * periods)[row.period] = int(row.asked)
        examples: dict[int, list[str]] = {}
        for row in await self._session.execute(text(EXAMPLE_IDS), {"most": EXAMPLES}):
            examples.setdefault(row.cluster_id, []).append(row.message_id)
        rows = (await self._session.execute(text(SHOWN))).mappings().all()
        return [
            ShownCluster(
                **{**row, "medoid": row["medoid"] or ""},
                counts=counts.get(row["id"], [0] * periods),
                examples=examples.get(row["id"], []),
            )
            for row in rows
        ]

    async def members(
        self, cluster: int, most: int, after: tuple[dt.datetime, str] | None
    ) -> Sequence[Listed]:
        """Returns members of a group, the newest first."""
        at, last = after or (None, "")
        values = {"id": cluster, "most": most, "at": at, "after": last}
        rows = await self._session.execute(text(MEMBERS), values)
        return [Listed(row.message_id, row.created_at) for row in rows]

    async def ungrouped(
        self, kinds: Sequence[str], most: int, after: tuple[dt.datetime, str] | None
    ) -> Sequence[Listed]:
        """Returns what is in no group, the newest first."""
        at, last = after or (None, "")
        values = {"kinds": list(kinds), "most": most, "at": at, "after": last}
        rows = await self._session.execute(text(UNGROUPED), values)
        return [Listed(row.message_id, row.created_at, row.kind) for row in rows]

    async def days(self, cluster: int, today: dt.date, days: int) -> Sequence[tuple[dt.date, int]]:
        """Returns how often a group was asked on each of the last days on which it was."""
        values = {"id": cluster, "today": today, "days": days}
        return [(row.day, row.questions) for row in await self._session.execute(text(DAYS), values)]

    async def give_name(self, cluster: int, name: str, by: str) -> None:
        """Gives the group a name, which stays; an empty one takes it back. Raises `NotFound`."""
        values = {"id": cluster, "name": name, "by": by if name else ""}
        if await self._session.scalar(text(NAME), values) is None:
            raise NotFound("cluster", f"clusters/{cluster}")
        await self._session.execute(text(CHANGED))
