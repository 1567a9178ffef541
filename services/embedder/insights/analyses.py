"""Analyses: each is an operation, made by a worker; the service sends those again that were lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import kombu.exceptions
import redis.exceptions
import structlog

from services.embedder.insights.clusters import MOST_CLUSTERS, Way, cluster_questions
from services.embedder.insights.store_analysis import AnalysisStore
from services.embedder.insights.store_operations import AnalysisOperations, Wanted
from services.embedder.pace import USUAL, Pace
from services.kernel.database import Database
from services.kernel.errors import FieldFault
from services.kernel.loops import Loop
from services.kernel.once import Once
from services.kernel.outages import DATABASE_ERRORS
from services.kernel.sessions import Sessions

log = structlog.get_logger(__name__)

FAULTS = (*DATABASE_ERRORS, kombu.exceptions.OperationalError, redis.exceptions.RedisError)
LOCK = "hashtextextended('question_analysis', 0)"

# Puts the message of an operation on the queue, by its id. It blocks, so it is called in a thread.
Send = Callable[[str], None]


class Analyses:
    """Begins analyses, and sends those again whose worker died, or whose message was lost."""

    def __init__(self, sessions: Sessions, model: str, send: Send, pace: Pace = USUAL) -> None:
        self._sessions = sessions
        self._model = model
        self._send = send
        self.healing = Loop(
            "analysis_healing",
            self.heal,
            every=pace.heal_analyses,
            outlives=FAULTS,
            failed="analysis.heal_failed",
        )

    async def begin(self, wanted: Wanted, actor: str, once: Once | None = None) -> str:
        """Begins an analysis, or joins the one that runs. Returns the id of its operation."""
        async with self._sessions.transaction() as session:
            operation, begun = await AnalysisOperations(session, self._model).begin(wanted, actor, once)
        if begun:
            await asyncio.to_thread(self._send, operation)
            log.info("analysis.begun", operation=operation)
        return operation

    async def heal(self) -> None:
        """Sends the running analysis again if no worker has it. To send it twice does no harm."""
        async with self._sessions.transaction() as session:
            lost = await AnalysisOperations(session, self._model).lost()
        for operation in lost:
            await asyncio.to_thread(self._send, operation)
            log.warning("analysis.sent_again", operation=operation)


async def analyse(
    database: Database, sessions: Sessions, model: str, operation: str, zone: str
) -> dict[str, int | str]:
    """Makes the analysis of an operation, and ends the operation with it. Returns what was found.

    It is left alone if another worker has it, if it has ended, or if it is of another model.
    """
    result: dict[str, int | str] = {"operation": f"operations/{operation}"}
    async with database.connection() as lock:
        if not await lock.fetchval(f"SELECT pg_try_advisory_lock({LOCK})"):
            return result | {"skipped": "another worker analyses"}
        try:
            async with sessions.reading() as session:
                wanted = await AnalysisOperations(session, model).wanted(operation)
                if wanted is None:
                    return result | {"skipped": "the operation has ended, or is of another model"}
                questions = await AnalysisStore(session, model).questions()
            found = await asyncio.to_thread(
                cluster_questions, questions.texts, questions.vectors, wanted.way, wanted.clusters
            )
            async with sessions.transaction() as session:
                # First: whoever cancelled it meanwhile wants the groups as they are.
                if not await AnalysisOperations(session, model).end(operation):
                    return result | {"skipped": "it was cancelled"}
                continued = await AnalysisStore(session, model).replace(questions, found, wanted.way, zone)
        finally:
            await lock.execute(f"SELECT pg_advisory_unlock({LOCK})")
    log.info("analysis.done", operation=operation, count=len(found.clusters))
    return result | {
        "questions": len(questions.ids),
        "clusters": len(found.clusters),
        "continued": continued,
        "ungrouped": len(found.noise),
        "talk": len(found.talk),
    }


def checked_way(clusters: object, way: object) -> Wanted:
    """Checks arguments, which people write in schedules. Raises ValueError with all faults.

    A number of clusters alone asks for k-means, as it did before there was another way.
    """
    faults = []
    whole = isinstance(clusters, int) and not isinstance(clusters, bool)
    if not whole or not 0 <= int(str(clusters)) <= MOST_CLUSTERS:
        fault = f"is {clusters!r}, it must be 0 (found by itself) to {MOST_CLUSTERS}"
        faults.append(FieldFault("clusters", fault, "0"))
    ways = [each.value for each in Way]
    if way not in ("", *ways):
        faults.append(FieldFault("way", f"is {way!r}, not one of {', '.join(ways)}", ways[0]))
    elif clusters and way not in ("", Way.K_MEANS.value):
        faults.append(FieldFault("clusters", f"is {clusters!r}, and {way} finds the number itself", "0"))
    if faults:
        raise ValueError("; ".join(map(str, faults)))
    number = int(str(clusters))
    default = Way.K_MEANS if number else Way.COMMUNITIES
    return Wanted(Way(way) if way else default, number)
