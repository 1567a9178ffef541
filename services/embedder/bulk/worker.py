"""The Celery worker: its application, its pool processes, and how chunks are sent to it."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Callable, Coroutine, Sequence
from contextvars import copy_context
from functools import cached_property
from typing import Any, TypeVar

import structlog
from billiard.util import get_logger
from celery import Celery
from celery.signals import (
    setup_logging,
    worker_process_init,
    worker_process_shutdown,
    worker_shutting_down,
)
from kombu.exceptions import OperationalError

from services.embedder.bulk.plan import Rebuilds
from services.embedder.bulk.rebuild import ChunkKey
from services.embedder.bulk.shared_queues import refuse_shared_queues
from services.embedder.bulk.task_logs import bind_ids, pass_request_id_on
from services.embedder.bulk.worker_probes import add_probes
from services.embedder.counts import ToldCounts
from services.embedder.insights.cached import Rankings
from services.embedder.model.encoder import Encoder
from services.kernel import broker
from services.kernel.channel import channel_to
from services.kernel.database import Database
from services.kernel.live_keys import CHUNK_CHARACTERS
from services.kernel.live_settings import Follower, LiveSettings
from services.kernel.others_messages import LEFT_ALONE
from services.kernel.outages import DATABASE_ERRORS
from services.kernel.sessions import Sessions
from services.kernel.settings import KernelSettings

log = structlog.get_logger(__name__)

EMBED_CHUNK = "embed_message_chunk"
ANALYSE = "analyse_questions"
# A message of an analysis that waits for longer is dropped: healing sends another one each minute.
ANALYSE_EXPIRES = 60
QUEUE = "ai_analysis"
SOFT_LIMIT, HARD_LIMIT = 600, 900
# A task is retried after these errors: the broker or the database is away for a moment.
PASSING = (OperationalError, *DATABASE_ERRORS)
RETRIES: dict[str, Any] = {
    "autoretry_for": PASSING,
    "retry_backoff": 1,
    "retry_backoff_max": 60,
    "retry_jitter": True,
    "max_retries": 5,
}

Result = TypeVar("Result")


def celery_app(settings: KernelSettings) -> Celery:
    """Returns the application without its tasks. That is enough for sending them."""
    # Longer than any task may run; otherwise a long task would be run twice. Chunks of a worker that died are
    # sent again within seconds, because their locks are released; that does not need this.
    on_own_broker = {"visibility_timeout": 2 * HARD_LIMIT}
    app = Celery("celeriac", broker=broker.broker_url(settings), backend=broker.backend_url(settings))
    app.conf.update(
        accept_content=["json"],
        task_serializer="json",
        result_serializer="json",
        event_serializer="json",
        task_default_queue=settings.queue_prefix + QUEUE,
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
        # Who sets a prefix shares the broker with another application.
        broker_transport_options=dict(LEFT_ALONE) if settings.queue_prefix else on_own_broker,
        enable_utc=True,
    )
    pass_request_id_on()
    return app


def chunk_sender(app: Celery) -> Callable[[Sequence[ChunkKey]], None]:
    """Returns a function that puts chunks on the queue, by their ids only. It blocks."""

    def send(chunks: Sequence[ChunkKey]) -> None:
        with app.producer_pool.acquire(block=True) as producer:
            for chunk in chunks:
                # To the application's default queue.
                app.send_task(EMBED_CHUNK, args=list(chunk), producer=producer, ignore_result=True)

    return send


def analysis_sender(app: Celery) -> Callable[[str], None]:
    """Returns a function that puts an analysis on the queue, by the id of its operation. It blocks."""

    def send(operation_id: str) -> None:
        app.send_task(ANALYSE, args=[operation_id], ignore_result=True, expires=ANALYSE_EXPIRES)

    return send


class PoolProcess:
    """The resources of one process of the pool: event loop, database, model, live settings."""

    def __init__(
        self, settings: KernelSettings, app: Celery, model: str, load: Callable[[], Encoder], at_once: bool
    ) -> None:
        """`model`: the identity of the model that `load` loads: `at_once`, or when a task first needs it."""
        self._settings = settings
        self.time_zone = settings.time_zone
        self.model = model
        self._app = app
        self._load = load
        self._at_once = at_once
        self._runner: asyncio.Runner | None = None
        worker_process_init.connect(self._open, weak=False)
        worker_process_shutdown.connect(self._close, weak=False)

    def _open(self, **_: Any) -> None:
        """Opens them after the fork, so that no connection or thread is shared with the parent process."""
        self._runner = asyncio.Runner()
        self.database = Database(
            self._settings.database_url.get_secret_value(), 2, "celeriac-embedder-worker"
        )
        self.sessions = Sessions(self.database)
        self._client = broker.connect(self._settings)
        self.rankings = Rankings(
            self.sessions, self._client, self._settings.queue_prefix, self._settings.time_zone
        )
        live = self._followed()
        self.rebuilds = Rebuilds(
            self.sessions, self.model, chunk_sender(self._app), lambda: live.get(CHUNK_CHARACTERS)
        )
        if self._at_once:
            # Last: without it, a task that needs it tries again, and all others work.
            log.info("worker.model_loaded", model=self.encoder.model)
        log.info("worker.process_ready", pid=os.getpid(), model=self.model)

    @cached_property
    def encoder(self) -> Encoder:
        """The encoder; may raise WrongModel when it is first used."""
        return self._load()

    def _followed(self) -> LiveSettings:
        """Returns live settings that a thread keeps current: the process's event loop runs only in tasks."""
        live = LiveSettings("embedder")

        async def keep() -> None:
            async with channel_to("scheduler", self._settings) as channel:
                await Follower(live, channel).run()

        threading.Thread(target=lambda: asyncio.run(keep()), name="live-settings", daemon=True).start()
        return live

    def _close(self, **_: Any) -> None:
        if self._runner is not None:
            self._runner.run(self._client.aclose())
            self._runner.run(self.sessions.close())
            self._runner.run(self.database.close())
            self._runner.close()

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        assert self._runner is not None, "the pool must be prefork"
        # In the task's context: the runner's own has not the ids that log lines are to have.
        return self._runner.run(work, context=copy_context())


def _keep_words_of_celery_out() -> None:
    """Closes standard output, where Celery says in plain text that it stops: lines of the log tell that."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    worker_shutting_down.connect(_tell_stop, weak=False)


def _tell_stop(how: str, **_: Any) -> None:
    log.info("worker.stopping", kind=how.lower())


def _keep_logging(**_: Any) -> None:
    """Quiets libraries. Celery leaves logging as it is if the signal `setup_logging` has any receiver."""
    for noisy in ("celery", "kombu", "amqp"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    # That of the pool keeps its lines to itself, so Python would write them as plain text.
    of_the_pool = get_logger()
    of_the_pool.propagate = True
    of_the_pool.setLevel(logging.WARNING)


def work(
    app: Celery, settings: KernelSettings, counts: ToldCounts, queues: str, concurrency: int, hostname: str
) -> None:
    """Runs Celery's own worker until SIGTERM (running tasks finish) or SIGQUIT.

    Raises SystemExit if workers of another application consume one of its queues.
    """
    refuse_shared_queues(broker.broker_url(settings), queues.split(","), EMBED_CHUNK)
    add_probes(app, settings, counts)
    setup_logging.connect(_keep_logging, weak=False)
    _keep_words_of_celery_out()
    bind_ids()
    arguments = ["--quiet", "worker", "--pool=prefork", f"--queues={queues}", f"--concurrency={concurrency}"]
    arguments += [f"--hostname={hostname}", "--events", "--loglevel=WARNING", "--without-mingle"]
    app.worker_main(arguments)
