"""The tasks that schedules and other services call by name. They work from any queue of the worker."""

from __future__ import annotations

import asyncio
import os
from typing import Any

from celery import Celery, Task

from services.embedder.bulk.plan import embed_chunk
from services.embedder.bulk.rebuild import REBUILD, ChunkKey, Rebuild
from services.embedder.bulk.worker import EMBED_CHUNK, RETRIES, PoolProcess
from services.embedder.insights.clusters import MOST_CLUSTERS, cluster_questions
from services.embedder.insights.store_questions import QuestionStore
from services.embedder.messages.messages import Role
from services.kernel.errors import FieldFault
from services.kernel.operations import forget_ended

PRELOADED_DAYS, PRELOADED_QUESTIONS = 7, 20


def register(app: Celery, process: PoolProcess) -> None:
    """Registers the tasks with the application. They use the database and the model of their pool process."""

    @app.task(name=EMBED_CHUNK, **RETRIES)
    def embed_message_chunk(operation_id: str, number: int) -> None:
        encoder = process.encoder
        chunk = ChunkKey(operation_id, number)
        process.run(embed_chunk(process.database, encoder.model, encoder.embed, chunk))

    @app.task(name=REBUILD, bind=True, **RETRIES)
    def rebuild_chat_vectors(
        self: Task[Any, Any], force_rebuild: bool = False, user_role: str = "user", min_length: int = 5
    ) -> dict[str, str]:
        wanted = checked(force_rebuild, user_role, min_length)
        begun = process.run(process.rebuilds.begin(wanted, f"tasks/{self.request.id}"))
        return {"operation": f"operations/{begun}"}

    @app.task(name="precompute_question_classifications", **RETRIES)
    def precompute_question_classifications(clusters: int = 0) -> dict[str, int]:
        return {"clusters": process.run(_classify(process, checked_clusters(clusters)))}

    @app.task(name="preload_vector_services", **RETRIES)
    def preload_vector_services() -> dict[str, int]:
        return process.run(_preload(process))

    @app.task(name="cleanup_cache", **RETRIES)
    def cleanup_cache() -> dict[str, int]:
        return {"operations_removed": process.run(_forget_operations(process))}

    @app.task(name="report_worker_health", **RETRIES)
    def report_worker_health() -> dict[str, Any]:
        process.run(_reach_database(process))
        return {"pid": os.getpid(), "model": process.model, "database": "reached"}


def checked(force_rebuild: object, user_role: object, min_length: object) -> Rebuild:
    """Checks arguments, which people write in schedules. Raises ValueError with all faults."""
    faults = []
    if not isinstance(force_rebuild, bool):
        faults.append(FieldFault("force_rebuild", f"is {force_rebuild!r}, not true or false", "false"))
    if user_role not in {role.value for role in Role}:
        faults.append(FieldFault("user_role", f"is {user_role!r}, not user or assistant", "user"))
    whole = isinstance(min_length, int) and not isinstance(min_length, bool)
    if not whole or not 0 <= int(str(min_length)) <= 1000:
        faults.append(FieldFault("min_length", f"is {min_length!r}, it must be 0 to 1000", "5"))
    if faults:
        raise ValueError("; ".join(map(str, faults)))
    return Rebuild(bool(force_rebuild), str(user_role), int(str(min_length)))


def checked_clusters(clusters: object) -> int:
    whole = isinstance(clusters, int) and not isinstance(clusters, bool)
    if not whole or not 0 <= int(str(clusters)) <= MOST_CLUSTERS:
        fault = f"is {clusters!r}, it must be 0 (found by itself) to {MOST_CLUSTERS}"
        raise ValueError(str(FieldFault("clusters", fault, "0")))
    return int(str(clusters))


async def _classify(process: PoolProcess, clusters: int) -> int:
    """Replaces the stored clusters with new ones. Returns how many were found."""
    model = process.model
    async with process.sessions.reading() as session:
        ids, texts, vectors = await QuestionStore(session).questions(model)
    found = await asyncio.to_thread(cluster_questions, texts, vectors, clusters)
    async with process.sessions.transaction() as session:
        await QuestionStore(session).replace(model, ids, found, process.time_zone)
    return len(found)


async def _preload(process: PoolProcess) -> dict[str, int]:
    """Reads vectors and hot questions, so that they are in the database's cache."""
    async with process.sessions.reading() as session:
        store = QuestionStore(session)
        _, _, vectors = await store.questions(process.model)
        hot = await store.hot(PRELOADED_DAYS, PRELOADED_QUESTIONS, process.time_zone)
    return {"vectors": len(vectors), "hot_questions": len(hot)}


async def _forget_operations(process: PoolProcess) -> int:
    async with process.database.transaction() as connection:
        return await forget_ended(connection, "embedder")


async def _reach_database(process: PoolProcess) -> None:
    async with process.database.transaction() as connection:
        await connection.fetchval("SELECT 1")
