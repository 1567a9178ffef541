"""Commands to workers through Celery's remote control, and the answer of each worker.

A command is published to all workers, and they answer on a queue of the sender. How many will answer is not
known: so the command names the workers known to be online, and the wait ends with the last of their answers
or at the time limit.

Celery knows a worker by its hostname alone, in the command and in the answer. Two workers of one hostname
both carry the command out and both answer, but which of the answers is whose can't be known.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from celery import Celery
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from services.kernel import broker
from services.kernel.errors import FailedPrecondition, Unavailable
from services.kernel.others_messages import LEFT_ALONE
from services.kernel.settings import KernelSettings
from services.monitor.tasks.names import WorkerName
from services.monitor.tasks.tasks import Task
from services.monitor.workers.answers import Outcome, read_answer

# Signals that may end a running task. The first is the default.
SIGNALS = ("SIGTERM", "SIGKILL", "SIGINT", "SIGQUIT", "SIGUSR1")
THREADS = 4
# Seconds for reaching the broker, in addition to the time that workers have to answer.
BROKER_SECONDS = 3.0


@dataclass(frozen=True)
class Reply:
    """What a worker made of a command.

    The name is without a process id where two workers of the hostname are online.
    """

    worker: WorkerName
    outcome: Outcome
    message: str


def refuse_ended(task: Task | None) -> None:
    """Raises `FailedPrecondition` if the task has ended, so that it can't be revoked."""
    if task is not None and task.state.ended:
        raise FailedPrecondition("TASK_ENDED", f"the task {task.id!r} has ended: it is in {task.state}")


def control_app(settings: KernelSettings, key_prefix: str) -> Celery:
    """Returns a Celery application without tasks, which accepts only JSON from the platform's broker."""
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
            **LEFT_ALONE,
        },
    )
    return app


class Control:
    """Sends commands to the workers that `online` names. They have `timeout` seconds to answer."""

    def __init__(self, app: Celery, online: Callable[[], Sequence[WorkerName]], timeout: float) -> None:
        self._app = app
        self._online = online
        self._timeout = timeout
        # kombu blocks, and keeps one answer queue per thread: so a small, fixed set of threads calls it.
        self._threads = ThreadPoolExecutor(THREADS, "control")

    async def revoke(self, task_id: str, *, terminate: bool = False, signal: str = "SIGTERM") -> list[Reply]:
        """Tells every worker to discard the task, and with `terminate` to signal the process that runs it.

        Returns one reply for each online worker, by name. Raises `Unavailable` if no worker is online, if
        none answers, or if the broker is away.
        """
        return await self._command("revoke", {"task_id": [task_id], "terminate": terminate, "signal": signal})

    async def _command(self, command: str, arguments: Mapping[str, Any]) -> list[Reply]:
        workers = self._online()
        if not workers:
            raise Unavailable("a worker (none is online)")
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._timeout + 2 * BROKER_SECONDS):
                answers = await loop.run_in_executor(
                    self._threads, self._broadcast, command, arguments, workers
                )
        except TimeoutError:
            answers = {}  # each answer restarts kombu's wait, so slow ones can exceed the limit
        except (OperationalError, RedisError, OSError) as error:
            raise Unavailable("the broker") from error
        if not answers:
            asked = ", ".join(sorted(map(str, workers))[:10])
            raise Unavailable(f"every worker asked ({asked}; no answer within {self._timeout} s)")
        replies = replies_of(workers, answers, f"no answer within {self._timeout} s")
        return sorted(replies, key=lambda reply: str(reply.worker))

    def _broadcast(
        self, command: str, arguments: Mapping[str, Any], workers: Sequence[WorkerName]
    ) -> dict[str, list[Any]]:
        """Returns the answers by hostname."""
        answers = self._app.control.broadcast(
            command,
            arguments=dict(arguments),
            destination=sorted({worker.hostname for worker in workers}),
            reply=True,
            timeout=self._timeout,
            limit=len(workers),
        )
        by_hostname = defaultdict(list)
        for answer in answers or []:
            for hostname, said in answer.items():
                by_hostname[hostname].append(said)
        return by_hostname


def replies_of(
    workers: Iterable[WorkerName], answers: Mapping[str, Sequence[Any]], silence: str
) -> list[Reply]:
    """Returns a reply for each worker that was asked, and for each answer beyond those.

    Where a hostname has several workers or several answers, they are called by the hostname. `silence`: the
    message for a worker that gave no answer.
    """
    asked = defaultdict(list)
    for worker in workers:
        asked[worker.hostname].append(worker)
    replies = []
    for hostname, named in asked.items():
        found = [read_answer(said) for said in answers.get(hostname, [])]
        found += [(Outcome.NO_ANSWER, silence)] * (len(named) - len(found))
        names = named if len(found) == 1 else [WorkerName(hostname)] * len(found)
        replies += [Reply(name, *each) for name, each in zip(names, found, strict=True)]
    return replies
