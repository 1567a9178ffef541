"""The tasks that schedules and other services call by name. They work from any queue of the worker."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery, Task

from services.embedder.bulk.plan import embed_chunk
from services.embedder.bulk.rebuild import REBUILD, ChunkKey, Rebuild
from services.embedder.bulk.worker import ANALYSE, EMBED_CHUNK, PASSING, RETRIES, PoolProcess
from services.embedder.insights.analyses import analyse, checked_way
from services.embedder.insights.store_operations import KIND, AnalysisOperations, Wanted
from services.embedder.messages.messages import Role
from services.kernel.errors import FieldFault
from services.kernel.operations import forget_ended


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

    @app.task(name=KIND, bind=True, **RETRIES)
    def precompute_question_classifications(
        self: Task[Any, Any], clusters: int = 0, way: str = ""
    ) -> dict[str, int | str]:
        wanted = checked_way(clusters, way)
        return process.run(_begin_and_analyse(process, wanted, f"tasks/{self.request.id}"))

    @app.task(name=ANALYSE, **RETRIES)
    def analyse_questions(operation_id: str) -> dict[str, int | str]:
        return process.run(_analyse(process, operation_id))

    @app.task(name="preload_vector_services", **RETRIES)
    def preload_vector_services() -> dict[str, int]:
        return {"answers_ready": process.run(process.rankings.warm())}

    @app.task(name="cleanup_cache", **RETRIES)
    def cleanup_cache() -> dict[str, int]:
        return process.run(_clean_up(process))

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


async def _begin_and_analyse(process: PoolProcess, wanted: Wanted, actor: str) -> dict[str, int | str]:
    """Begins the operation of an analysis, or takes over the one that runs: its worker may have died."""
    async with process.sessions.transaction() as session:
        operation, _ = await AnalysisOperations(session, process.model).begin(wanted, actor)
    return await _analyse(process, operation)


async def _analyse(process: PoolProcess, operation: str) -> dict[str, int | str]:
    try:
        found = await analyse(process.database, process.sessions, process.model, operation, process.time_zone)
    except PASSING:
        raise
    except Exception as error:
        async with process.sessions.transaction() as session:
            await AnalysisOperations(session, process.model).fail(operation, error)
        raise
    if "skipped" not in found:
        await process.rankings.warm()
    return found


async def _clean_up(process: PoolProcess) -> dict[str, int]:
    removed = await _forget_operations(process)
    return {"operations_removed": removed, "answers_removed": await process.rankings.clean()}


async def _forget_operations(process: PoolProcess) -> int:
    async with process.database.transaction() as connection:
        return await forget_ended(connection, "embedder")


async def _reach_database(process: PoolProcess) -> None:
    async with process.database.transaction() as connection:
        await connection.fetchval("SELECT 1")
