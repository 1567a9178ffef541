"""The SQL of an analysis: reads its questions, replaces the groups, and adds new questions to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from services.embedder.insights.centring import Means
from services.embedder.insights.clusters import Cluster, Grouping, Way, widened
from services.embedder.insights.communities import Vectors
from services.embedder.insights.identity import Known, same_groups
from services.embedder.insights.languages import languages_of

WIDTH = 1024
# The most questions that are read, or assigned, at a time: 8 MB of vectors.
AT_ONCE = 2000

COUNT = """
    SELECT count(*) AS questions, coalesce(max(write), 0) AS through
    FROM chat_message_embeddings_1024 JOIN chat_messages ON message_id = id
    WHERE model = :model AND role = 'user'
"""
PAGE = """
    SELECT id, text, vector FROM chat_messages JOIN chat_message_embeddings_1024 ON message_id = id
    WHERE model = :model AND role = 'user' AND id > :after ORDER BY id LIMIT :most
"""
NEW = """
    SELECT id, text, vector, write FROM chat_message_embeddings_1024 AS vector
    JOIN chat_messages AS message ON message.id = vector.message_id
    -- Writes don't become visible in the order of their numbers.
    WHERE model = :model AND write > :through - 5000 AND role = 'user'
        AND NOT EXISTS (SELECT FROM question_cluster_members AS other WHERE other.message_id = message.id)
        AND NOT EXISTS (SELECT FROM question_ungrouped AS other WHERE other.message_id = message.id)
    ORDER BY write LIMIT :most FOR SHARE OF message SKIP LOCKED
"""
# The rows come as JSON, because unnest() would also take the arrays of keywords apart.
CLUSTERS = """
    INSERT INTO question_clusters
        (id, model, title, keywords, size, name, named_by, medoid, centroid, least, languages, first_seen_at)
    SELECT number, :model, coalesce(text, ''), keywords, size, name, named_by, chat_messages.id,
        decode(centroid, 'hex'), least, languages, coalesce(first_seen_at, now())
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS found (
        number integer, keywords text[], size integer, name text, named_by text, medoid text, centroid text,
        least real, languages jsonb, first_seen_at timestamptz)
    LEFT JOIN chat_messages ON chat_messages.id = found.medoid
"""
MEMBERS = """
    INSERT INTO question_cluster_members (cluster_id, message_id)
    -- A message that was deleted while it was analysed is left out.
    SELECT cluster_id, message_id
    FROM unnest(CAST(:clusters AS integer[]), CAST(:messages AS text[])) AS found (cluster_id, message_id)
    JOIN chat_messages ON id = message_id ORDER BY message_id FOR SHARE OF chat_messages
"""
UNGROUPED = """
    INSERT INTO question_ungrouped (message_id, kind)
    SELECT message_id, kind
    FROM unnest(CAST(:messages AS text[]), CAST(:kinds AS text[])) AS found (message_id, kind)
    JOIN chat_messages ON id = message_id ORDER BY message_id FOR SHARE OF chat_messages
"""
DAILY = """
    INSERT INTO question_stats_daily AS stored (cluster_id, day, questions)
    SELECT cluster_id, CAST(created_at AT TIME ZONE CAST(:zone AS text) AS date), count(*)
    FROM question_cluster_members JOIN chat_messages ON id = message_id
    WHERE CAST(:only AS text[]) IS NULL OR message_id = ANY(CAST(:only AS text[])) GROUP BY 1, 2
    ON CONFLICT (day, cluster_id) DO UPDATE SET questions = stored.questions + excluded.questions
"""
GROWN = """
    UPDATE question_clusters SET size = size + found.more, languages = (
        SELECT jsonb_object_agg(language, count) FROM (
            SELECT language, sum(CAST(count AS integer)) AS count FROM (
                SELECT * FROM jsonb_each_text(question_clusters.languages)
                UNION ALL SELECT * FROM jsonb_each_text(found.languages)
            ) AS each (language, count) GROUP BY language
        ) AS added)
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS found (id integer, more integer, languages jsonb)
    WHERE question_clusters.id = found.id
"""
# Held by whoever changes groups, to the end of the transaction.
GROUPS = "hashtextextended('question_groups', 0)"
HOLD_MESSAGES = "SELECT FROM chat_messages WHERE id = ANY(CAST(:ids AS text[])) ORDER BY id FOR SHARE"
KNOWN = (
    "SELECT id, name, named_by, centroid, least, first_seen_at, keywords FROM question_clusters ORDER BY id"
)
DONE = """
    INSERT INTO question_analysis
        (model, way, questions, scripts, means, last_id, revision, assigned_through)
    VALUES (:model, :way, :questions, :scripts, :means, :last_id, 1, :through)
    ON CONFLICT (single) DO UPDATE SET
        model = excluded.model, way = excluded.way, questions = excluded.questions,
        scripts = excluded.scripts, means = excluded.means,
        last_id = excluded.last_id, revision = question_analysis.revision + 1,
        assigned_through = excluded.assigned_through, analysed_at = now()
"""


@dataclass(frozen=True)
class Questions:
    """The users' embedded messages, by id: ids, texts, vectors [n, 1024]; the number of the last write."""

    ids: Sequence[str]
    texts: Sequence[str]
    vectors: Vectors
    through: int = 0


@dataclass(frozen=True)
class Centres:
    """What questions are assigned by: the groups' ids, centroids [k, d], least cosines [k]; the means."""

    ids: Sequence[int]
    centroids: Vectors
    least: Vectors
    means: Means
    revision: int
    through: int


class AnalysisStore:
    """Questions, and the groups that analyses make of them, in one session."""

    def __init__(self, session: AsyncSession, model: str) -> None:
        self._session = session
        self._model = model

    async def questions(self) -> Questions:
        """Returns all questions. Their vectors are read page by page into one array."""
        counted = (await self._session.execute(text(COUNT), {"model": self._model})).one()
        vectors = np.zeros((counted.questions, WIDTH), dtype=np.float32)
        ids: list[str] = []
        texts: list[str] = []
        while len(ids) < counted.questions:
            page = {"model": self._model, "after": ids[-1] if ids else "", "most": AT_ONCE}
            rows = (await self._session.execute(text(PAGE), page)).all()
            vectors[len(ids) : len(ids) + len(rows)] = _matrix([row.vector for row in rows])
            ids += [row.id for row in rows]
            texts += [row.text for row in rows]
        return Questions(ids, texts, vectors, counted.through)

    async def replace(self, questions: Questions, found: Grouping, way: Way, zone: str) -> int:
        """Replaces all groups; those that go on keep their ids and names. Returns how many go on.

        Readers see either the old groups or the new ones.
        """
        await self._alone(questions.ids)
        before = (await self._session.execute(text(KNOWN))).all()
        members = [[questions.ids[row] for row in cluster.members] for cluster in found.clusters]
        centroids = np.array([widened(one.centroid, WIDTH) for one in found.clusters], dtype=np.float32)
        known = Known(
            [row.id for row in before],
            _matrix([row.centroid or bytes(4 * WIDTH) for row in before]),
            await self._group_of(),
        )
        continued = same_groups(known, members, centroids)
        last = await self._session.scalar(text("SELECT last_id FROM question_analysis")) or 0
        last = max([last, *known.ids])
        by_id = {row.id: row for row in before}
        ids, rows = [], []
        for position, cluster in enumerate(found.clusters):
            if position in continued:
                ids.append(continued[position])
            else:
                last += 1
                ids.append(last)
            texts = [questions.texts[row] for row in cluster.members]
            rows.append(_row(ids[-1], cluster, questions.ids[cluster.title], texts, by_id.get(ids[-1])))
        # A name that a person gave stays, also while nobody asks: its group may come back.
        rows += [_resting(row) for row in before if row.name and row.id not in ids]
        await self._session.execute(text("DELETE FROM question_clusters"))
        await self._session.execute(text("DELETE FROM question_ungrouped"))
        await self._session.execute(
            text(CLUSTERS), {"model": self._model, "rows": orjson.dumps(rows).decode()}
        )
        await self._add(
            [(group, one) for group, messages in zip(ids, members, strict=True) for one in messages],
            [(questions.ids[row], "noise") for row in found.noise]
            + [(questions.ids[row], "talk") for row in found.talk],
        )
        await self._session.execute(text(DAILY), {"zone": zone, "only": None})
        means = [widened(found.means[script], WIDTH).astype("<f4").tobytes() for script in found.means]
        done = {"model": self._model, "way": way.value, "questions": len(questions.ids), "last_id": last}
        done |= {"scripts": list(found.means), "means": b"".join(means), "through": questions.through}
        await self._session.execute(text(DONE), done)
        return len(continued)

    async def centres(self, *, lock: bool = False) -> Centres | None:
        """Returns what questions are assigned by; None before the first analysis with this model.

        With `lock`, also None while another process assigns questions.
        """
        locking = "FOR UPDATE SKIP LOCKED" if lock else ""
        row = (
            await self._session.execute(
                text(f"SELECT * FROM question_analysis WHERE model = :model {locking}"),
                {"model": self._model},
            )
        ).one_or_none()
        if row is None:
            return None
        clusters = (
            await self._session.execute(
                text(
                    "SELECT id, centroid, least FROM question_clusters WHERE centroid IS NOT NULL ORDER BY id"
                )
            )
        ).all()
        means = dict(zip(row.scripts, _matrix([row.means]), strict=True))
        return Centres(
            [one.id for one in clusters],
            _matrix([one.centroid for one in clusters]),
            np.array([one.least for one in clusters], dtype=np.float32),
            means,
            row.revision,
            row.assigned_through,
        )

    async def last_write(self) -> int:
        """Returns the number of the last write of a vector; 0 if there is none."""
        last = await self._session.scalar(
            text("SELECT max(write) FROM chat_message_embeddings_1024 WHERE model = :model"),
            {"model": self._model},
        )
        return last or 0

    async def assigned_through(self) -> int:
        """Returns up to which write questions were assigned; the highest number before any analysis."""
        through = await self._session.scalar(
            text("SELECT assigned_through FROM question_analysis WHERE model = :model"),
            {"model": self._model},
        )
        return 2**63 - 1 if through is None else through

    async def new_questions(self, through: int) -> Questions:
        """Returns questions that no analysis has seen and that were not assigned, at most AT_ONCE."""
        values = {"model": self._model, "through": through, "most": AT_ONCE}
        rows = (await self._session.execute(text(NEW), values)).all()
        vectors = _matrix([row.vector for row in rows])
        last = max((row.write for row in rows), default=through)
        return Questions([row.id for row in rows], [row.text for row in rows], vectors, last)

    async def assign(
        self,
        new: Questions,
        groups: Sequence[int | None],
        talk: Sequence[bool],
        through: int,
        zone: str,
    ) -> None:
        """Adds new questions to their groups; those without one to what is in none."""
        ungrouped = [
            (one, "talk" if small else "noise")
            for one, group, small in zip(new.ids, groups, talk, strict=True)
            if group is None
        ]
        members = [(group, one) for group, one in zip(groups, new.ids, strict=True) if group is not None]
        await self._add(members, ungrouped)
        if members:
            texts: dict[int, list[str]] = {}
            for group, question in zip(groups, new.texts, strict=True):
                if group is not None:
                    texts.setdefault(group, []).append(question)
            grown = [
                {"id": one, "more": len(some), "languages": languages_of(some)} for one, some in texts.items()
            ]
            await self._session.execute(text(GROWN), {"rows": orjson.dumps(grown).decode()})
            await self._session.execute(text(DAILY), {"zone": zone, "only": [one for _, one in members]})
        await self._session.execute(
            text(
                "UPDATE question_analysis SET assigned_through = greatest(assigned_through, :through),"
                " revision = revision + :changed"
            ),
            {"through": through, "changed": int(bool(new.ids))},
        )

    async def hold(self) -> bool:
        """Whether this transaction alone may change groups from now on: no other one does so."""
        return bool(await self._session.scalar(text(f"SELECT pg_try_advisory_xact_lock({GROUPS})")))

    async def _alone(self, messages: Sequence[str]) -> None:
        """Waits until this transaction alone may change groups, and until the messages are not being changed.

        Whoever deletes a message has locked it before its row in a group: so messages are locked first.
        """
        await self._session.execute(text(f"SELECT pg_advisory_xact_lock({GROUPS})"))
        await self._session.execute(text(HOLD_MESSAGES), {"ids": list(messages)})

    async def _add(self, members: Sequence[tuple[int, str]], ungrouped: Sequence[tuple[str, str]]) -> None:
        await self._session.execute(
            text(MEMBERS), {"clusters": [n for n, _ in members], "messages": [one for _, one in members]}
        )
        await self._session.execute(
            text(UNGROUPED),
            {"messages": [one for one, _ in ungrouped], "kinds": [kind for _, kind in ungrouped]},
        )

    async def _group_of(self) -> dict[str, int]:
        rows = await self._session.execute(
            text("SELECT message_id, cluster_id FROM question_cluster_members")
        )
        return {row.message_id: row.cluster_id for row in rows}


def _row(number: int, cluster: Cluster, medoid: str, texts: list[str], before: object) -> dict[str, object]:
    first_seen = getattr(before, "first_seen_at", None)
    return {
        "number": number,
        "keywords": list(cluster.keywords),
        "size": len(cluster.members),
        "name": getattr(before, "name", ""),
        "named_by": getattr(before, "named_by", ""),
        "medoid": medoid,
        "centroid": widened(cluster.centroid, WIDTH).astype("<f4").tobytes().hex(),
        "least": cluster.least,
        "languages": languages_of(texts),
        "first_seen_at": first_seen and first_seen.isoformat(),
    }


def _resting(row: object) -> dict[str, object]:
    kept = {name: getattr(row, name) for name in ("name", "named_by", "least", "keywords")}
    centroid, first_seen = getattr(row, "centroid", None), getattr(row, "first_seen_at", None)
    return kept | {
        "number": getattr(row, "id", 0),
        "size": 0,
        "languages": {},
        "centroid": centroid and centroid.hex(),
        "first_seen_at": first_seen and first_seen.isoformat(),
    }


def _matrix(rows: Sequence[bytes]) -> Vectors:
    """Returns the vectors of bytes, which are little-endian float32 values: float32 [n, 1024]."""
    return np.frombuffer(b"".join(rows), dtype="<f4").reshape(-1, WIDTH).astype(np.float32)
