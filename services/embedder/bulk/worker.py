"""The Celery worker: the bulk path's chunks, and the platform's maintenance of vectors."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

import structlog
from celery import Celery
from celery.signals import setup_logging, worker_process_init, worker_process_shutdown
from kombu.exceptions import OperationalError

from services.embedder.bulk.operations import ChunkKey
from services.embedder.bulk.plan import Rebuilds
from services.embedder.model.encoder import Encoder
from services.kernel import broker
from services.kernel.channel import channel_to
from services.kernel.config_keys import CHUNK_CHARACTERS
from services.kernel.database import Database
from services.kernel.live_settings import Follower, LiveSettings
from services.kernel.sessions import SESSION_ERRORS, Sessions
from services.kernel.settings import KernelSettings

log = structlog.get_logger(__name__)

EMBED_CHUNK = "embed_message_chunk"
QUEUE = "ai_analysis"
SOFT_LIMIT, HARD_LIMIT = 600, 900
# A task that one of these ends is tried again: broker or database are away for a moment.
PASSING = (OperationalError, *SESSION_ERRORS)
RETRIES: dict[str, Any] = {
    "autoretry_for": PASSING,
    "retry_backoff": 1,
    "retry_backoff_max": 60,
    "retry_jitter": True,
    "max_retries": 5,
}

Result = TypeVar("Result")


def celery_app(settings: KernelSettings) -> Celery:
    """The application, without tasks: enough to send."""
    app = Celery("celeriac", broker=broker.broker_url(settings), backend=broker.backend_url(settings))
    app.conf.update(
        accept_content=["json"],
        task_serializer="json",
        result_serializer="json",
        event_serializer="json",
        task_default_queue=QUEUE,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_soft_time_limit=SOFT_LIMIT,
        task_time_limit=HARD_LIMIT,
        worker_max_tasks_per_child=1000,
        worker_prefetch_multiplier=1,
        worker_send_task_events=True,
        task_send_sent_event=True,
        task_track_started=True,
        worker_hijack_root_logger=False,
        broker_connection_retry_on_startup=True,
        # Longer than any task may run, or a long one would be run twice. A worker that dies whole is
        # healed in seconds by the chunks' locks, not by this.
        broker_transport_options={"visibility_timeout": 2 * HARD_LIMIT},
        enable_utc=True,
    )
    return app


def chunk_sender(app: Celery) -> Callable[[Sequence[ChunkKey]], None]:
    """Puts chunks on the queue, ids only."""

    def send(chunks: Sequence[ChunkKey]) -> None:
        with app.producer_pool.acquire(block=True) as producer:
            for chunk in chunks:
                app.send_task(
                    EMBED_CHUNK, args=list(chunk), queue=QUEUE, producer=producer, ignore_result=True
                )

    return send


class PoolProcess:
    """What one process of the pool has of its own: event loop, database, model, live settings."""

    def __init__(self, settings: KernelSettings, app: Celery, load: Callable[[], Encoder]) -> None:
        self._settings = settings
        self.time_zone = settings.time_zone
        self._app = app
        self._load = load
        self._runner: asyncio.Runner | None = None
        worker_process_init.connect(self._open, weak=False)
        worker_process_shutdown.connect(self._close, weak=False)

    def _open(self, **_: Any) -> None:
        """After the fork, so that no connection and no thread of the parent's is shared."""
        self._runner = asyncio.Runner()
        self.database = Database(
            self._settings.database_url.get_secret_value(), 2, "celeriac-embedder-worker"
        )
        self.sessions = Sessions(self.database)
        self.encoder = self._load()
        live = self._followed()
        self.rebuilds = Rebuilds(
            self.sessions, self.encoder.model, chunk_sender(self._app), lambda: live.get(CHUNK_CHARACTERS)
        )
        log.info("worker.process_ready", pid=os.getpid(), model=self.encoder.model)

    def _followed(self) -> LiveSettings:
        """The live settings, followed by a thread: the process's own loop runs only while a task does."""
        live = LiveSettings("embedder")

        async def keep() -> None:
            async with channel_to(self._settings.scheduler_address, self._settings) as channel:
                await Follower(live, channel).run()

        threading.Thread(target=lambda: asyncio.run(keep()), name="live-settings", daemon=True).start()
        return live

    def _close(self, **_: Any) -> None:
        if self._runner is not None:
            self._runner.run(self.sessions.close())
            self._runner.run(self.database.close())
            self._runner.close()

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        assert self._runner is not None, "the pool must be prefork"
        return self._runner.run(work)


def _keep_logging(**_: Any) -> None:
    """That somebody listens to the signal keeps Celery from setting up logging anew, in every process."""
    for noisy in ("celery", "kombu", "amqp"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def work(app: Celery, queues: str, concurrency: int, hostname: str) -> None:
    """Runs a stock worker until SIGTERM (running tasks finish) or SIGQUIT."""
    setup_logging.connect(_keep_logging, weak=False)
    arguments = ["worker", "--pool=prefork", f"--queues={queues}", f"--concurrency={concurrency}"]
    arguments += [f"--hostname={hostname}", "--events", "--loglevel=WARNING", "--without-mingle"]
    app.worker_main(arguments)
