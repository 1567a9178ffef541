"""The SQL of questions, their clusters, and how often they were asked on each day."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from services.embedder.insights.clusters import Cluster, Vectors

HOT = """
    SELECT id, title, keywords, size,
           sum(questions) FILTER (WHERE day > today - CAST(:days AS integer)) AS count,
           coalesce(sum(questions) FILTER (WHERE day <= today - CAST(:days AS integer)), 0) AS previous
    FROM question_clusters JOIN question_stats_daily ON cluster_id = id,
         (SELECT CAST(now() AT TIME ZONE CAST(:zone AS text) AS date) AS today) AS clock
    WHERE day > today - 2 * CAST(:days AS integer) AND day <= today
    GROUP BY id HAVING sum(questions) FILTER (WHERE day > today - CAST(:days AS integer)) > 0
        AND (CAST(:count AS bigint) IS NULL OR
            (-sum(questions) FILTER (WHERE day > today - CAST(:days AS integer)), id)
                > (-CAST(:count AS bigint), CAST(:id AS integer)))
    ORDER BY count DESC, id LIMIT :most
"""
# The rows come as JSON, because unnest() would also take the arrays of keywords apart.
CLUSTERS = """
    INSERT INTO question_clusters (id, model, title, keywords, size)
    SELECT id, :model, title, keywords, size FROM jsonb_to_recordset(CAST(:rows AS jsonb))
        AS found (id integer, title text, keywords text[], size integer)
"""
MEMBERS = """
    INSERT INTO question_cluster_members (cluster_id, message_id)
    -- A message that was deleted while it was analysed is left out.
    SELECT cluster_id, message_id
    FROM unnest(CAST(:clusters AS integer[]), CAST(:messages AS text[])) AS found (cluster_id, message_id)
    JOIN chat_messages ON id = message_id ORDER BY message_id FOR SHARE OF chat_messages
"""
DAILY = """
    INSERT INTO question_stats_daily (cluster_id, day, questions)
    SELECT cluster_id, CAST(created_at AT TIME ZONE CAST(:zone AS text) AS date), count(*)
    FROM question_cluster_members JOIN chat_messages ON id = message_id GROUP BY 1, 2
"""


@dataclass(frozen=True)
class HotQuestion:
    """A cluster, and how often its questions were asked in a period (`count`) and in the one before it.

    The id is that of the cluster, within one analysis.
    """

    id: int
    title: str
    keywords: Sequence[str]
    count: int
    previous: int
    size: int


class QuestionStore:
    """Questions and their clusters, in one session."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def questions(self, model: str) -> tuple[list[str], list[str], Vectors]:
        """Returns ids, texts and vectors (float32 [n, 1024]) of the users' embedded messages, by id."""
        result = await self._session.execute(
            text(
                "SELECT id, text, vector FROM chat_messages JOIN chat_message_embeddings_1024"
                " ON message_id = id WHERE model = :model AND role = 'user' ORDER BY id"
            ),
            {"model": model},
        )
        rows = result.all()
        vectors = np.frombuffer(b"".join(row.vector for row in rows), dtype="<f4").reshape(-1, 1024)
        return [row.id for row in rows], [row.text for row in rows], vectors.astype(np.float32)

    async def replace(self, model: str, ids: Sequence[str], clusters: Sequence[Cluster], zone: str) -> None:
        """Replaces the whole analysis. Readers see either the old one or the new one."""
        # Two analyses replace it one after the other; readers do not wait for the lock.
        await self._session.execute(text("LOCK TABLE question_clusters IN SHARE ROW EXCLUSIVE MODE"))
        await self._session.execute(text("DELETE FROM question_clusters"))
        if not clusters:
            return
        rows = [
            {
                "id": number,
                "title": cluster.title,
                "keywords": list(cluster.keywords),
                "size": len(cluster.members),
            }
            for number, cluster in enumerate(clusters, 1)
        ]
        await self._session.execute(text(CLUSTERS), {"model": model, "rows": orjson.dumps(rows).decode()})
        members = [(n, ids[row]) for n, cluster in enumerate(clusters, 1) for row in cluster.members]
        await self._session.execute(
            text(MEMBERS), {"clusters": [n for n, _ in members], "messages": [one for _, one in members]}
        )
        await self._session.execute(text(DAILY), {"zone": zone})

    async def analysed_at(self) -> dt.datetime | None:
        """Returns when the present analysis was made; None if there is none."""
        analysed: dt.datetime | None = await self._session.scalar(
            text("SELECT max(analysed_at) FROM question_clusters")
        )
        return analysed

    async def hot(
        self, days: int, most: int, zone: str, after: tuple[int, int] | None = None
    ) -> Sequence[HotQuestion]:
        """Returns the clusters asked in the last `days` after (count, id), most asked first."""
        count, last = after or (None, None)
        values = {"days": days, "most": most, "zone": zone, "count": count, "id": last}
        return [
            HotQuestion(
                row["id"],
                row["title"],
                row["keywords"],
                int(row["count"]),
                int(row["previous"]),
                row["size"],
            )
            for row in (await self._session.execute(text(HOT), values)).mappings()
        ]
