"""The bulk path whole: a task on the broker, a worker's processes, vectors in PostgreSQL."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import asyncpg
from celery import Celery

from benchmarks.servers import Servers
from deploy.standalone.certificates import ensure_certificates
from deploy.standalone.tokens import LocalIssuer
from services.embedder.bulk.worker import celery_app
from services.embedder.messages.messages import Message
from services.embedder.messages.store_messages import MessageStore
from services.kernel.database import Database
from services.kernel.sessions import opened_sessions
from services.kernel.settings import KernelSettings
from tests.support.processes import ROOT, environment_of, migrate
from tests.support.servers import Valkey

READY_SECONDS, RUN_SECONDS = 120.0, 600.0
INGESTED = 2000


@dataclass(frozen=True)
class BulkPath:
    """A worker that waits for work, on a database with the messages."""

    database_url: str
    app: Celery
    texts: int

    def rate(self) -> float:
        """Texts a second, from the task's sending until the last vector is committed."""
        return asyncio.run(self._rate())

    async def _rate(self) -> float:
        connection = await asyncpg.connect(self.database_url)
        try:
            await connection.execute(
                "TRUNCATE chat_message_embeddings_1024, celery_operations CASCADE; CHECKPOINT"
            )
            began = time.perf_counter()
            self.app.send_task("rebuild_chat_vectors", kwargs={"min_length": 1}, ignore_result=True)
            await self._until_done(connection, began + RUN_SECONDS)
            seconds = time.perf_counter() - began
            stored = await connection.fetchval("SELECT count(*) FROM chat_message_embeddings_1024")
            assert stored == self.texts, f"{stored} vectors of {self.texts}"
            return self.texts / seconds
        finally:
            await connection.close()

    async def _until_done(self, connection: asyncpg.Connection, deadline: float) -> None:
        while not await connection.fetchval("SELECT true FROM celery_operations WHERE state = 'done'"):
            if time.perf_counter() > deadline:
                raise SystemExit("the rebuild did not end")
            await asyncio.sleep(0.02)


@contextmanager
def running(
    servers: Servers, folder: Path, messages: Sequence[Message], processes: int, threads: int
) -> Iterator[BulkPath]:
    """Migrates, takes the messages in, and starts a worker."""
    with TemporaryDirectory(prefix="celeriac-bench-") as state:
        ensure_certificates(Path(state))
        LocalIssuer(Path(state)).ensure_key()
        environment = environment_of(
            "embedder",
            Path(state),
            servers.database_url,
            Valkey(Path(state), servers.redis_port, servers.redis_host),
            CELERIAC_MODEL=str(folder),
            CELERIAC_WORKER_CONCURRENCY=str(processes),
            CELERIAC_THREADS=str(threads),
            CELERY_LOG_LEVEL="INFO",
        )
        migrate("embedder", environment)
        asyncio.run(_ingest(servers.database_url, messages))
        os.environ.update(environment)
        app = celery_app(KernelSettings())
        log = Path(state) / "worker.log"
        with log.open("wb") as output:
            worker = subprocess.Popen(
                [sys.executable, "-m", "services.embedder", "work"],
                env=environment,
                cwd=ROOT,
                stdout=output,
                stderr=output,
            )
        try:
            _until_ready(log, processes)
            yield BulkPath(servers.database_url, app, len(messages))
        finally:
            app.close()
            worker.terminate()
            worker.wait(30)


async def _ingest(database_url: str, messages: Sequence[Message]) -> None:
    async with opened_sessions(Database(database_url)) as sessions:
        for start in range(0, len(messages), INGESTED):
            async with sessions.transaction() as session:
                await MessageStore(session).ingest(messages[start : start + INGESTED])


def _until_ready(log: Path, processes: int) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while log.read_text().count("worker.process_ready") < processes:
        if time.monotonic() > deadline:
            raise SystemExit(f"the worker did not start:\n{log.read_text()[-2000:]}")
        time.sleep(0.1)
