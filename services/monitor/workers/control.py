"""Commands to workers, by Celery's remote control, and what each of them answered.

A command is published to all workers, who answer on a queue of the sender. Nobody tells how many answers
there will be: so it is sent to the workers known to be online, by name, and the wait ends with the last of
their answers, or at the time limit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from celery import Celery
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from services.kernel import broker
from services.kernel.errors import FailedPrecondition, Unavailable
from services.kernel.settings import KernelSettings
from services.monitor.tasks.tasks import Task

# What a running task may be ended with; the first if nothing else is said.
SIGNALS = ("SIGTERM", "SIGKILL", "SIGINT", "SIGQUIT", "SIGUSR1")
THREADS = 4
# On top of the workers' time: to reach the broker.
BROKER_SECONDS = 3.0


@dataclass(frozen=True)
class Reply:
    """What a worker answered; `ok` is False also for one that didn't."""

    worker: str
    ok: bool
    message: str


def refuse_ended(task: Task | None) -> None:
    """Raises `FailedPrecondition` if there is nothing left to revoke of the task."""
    if task is not None and task.state.ended:
        raise FailedPrecondition("TASK_ENDED", f"the task {task.id!r} has ended: it is in {task.state}")


def control_app(settings: KernelSettings, key_prefix: str) -> Celery:
    """An application without tasks, that speaks JSON and nothing else to the platform's broker."""
    app = Celery("celeriac-monitor", broker=broker.broker_url(settings), set_as_current=False)
    app.conf.update(
        accept_content=["json"],
        task_serializer="json",
        broker_connection_timeout=BROKER_SECONDS,
        broker_connection_retry=False,
        broker_transport_options={
            "global_keyprefix": key_prefix,
            "socket_connect_timeout": BROKER_SECONDS,
            "socket_timeout": BROKER_SECONDS,
            "max_retries": 1,
        },
    )
    return app


class Control:
    """`online` gives the names of the workers to speak to; `timeout` is what they have to answer, in s."""

    def __init__(self, app: Celery, online: Callable[[], Sequence[str]], timeout: float) -> None:
        self._app = app
        self._online = online
        self._timeout = timeout
        # kombu blocks, and keeps an answer queue for each thread: so few of them, and always the same.
        self._threads = ThreadPoolExecutor(THREADS, "control")

    async def revoke(self, task_id: str, *, terminate: bool = False, signal: str = "SIGTERM") -> list[Reply]:
        """Tells every worker to discard the task, and with `terminate` to signal the process that runs it.

        Raises `Unavailable` if there is no worker, none answers, or the broker is away.
        """
        return await self._command("revoke", {"task_id": [task_id], "terminate": terminate, "signal": signal})

    async def _command(self, command: str, arguments: Mapping[str, Any]) -> list[Reply]:
        workers = sorted(self._online())
        if not workers:
            raise Unavailable("a worker (none is online)")
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._timeout + 2 * BROKER_SECONDS):
                answers = await loop.run_in_executor(
                    self._threads, self._broadcast, command, arguments, workers
                )
        except TimeoutError:
            answers = {}  # they came so slowly that waiting for the last would take for ever
        except (OperationalError, RedisError, OSError) as error:
            raise Unavailable("the broker") from error
        if not answers:
            asked = ", ".join(workers[:10])
            raise Unavailable(f"every worker asked ({asked}; no answer within {self._timeout} s)")
        return [_reply(worker, answers.get(worker), self._timeout) for worker in workers]

    def _broadcast(
        self, command: str, arguments: Mapping[str, Any], workers: Sequence[str]
    ) -> dict[str, Any]:
        answers = self._app.control.broadcast(
            command,
            arguments=dict(arguments),
            destination=list(workers),
            reply=True,
            timeout=self._timeout,
            limit=len(workers),
        )
        return {worker: said for answer in answers or [] for worker, said in answer.items()}


def _reply(worker: str, said: Any, timeout: float) -> Reply:
    if said is None:
        return Reply(worker, False, f"no answer within {timeout} s")
    if isinstance(said, dict) and "ok" in said:
        return Reply(worker, True, str(said["ok"])[:1000])
    return Reply(worker, False, str(said.get("error") if isinstance(said, dict) else said)[:1000])
