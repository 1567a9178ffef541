"""Commands to workers through Celery's remote control, and the answer of each worker.

A command is published to all workers, and they answer on a queue of the sender. How many will answer is not
known: so the command names the workers known to be there, and the wait ends with the last of their answers
or at the time limit. Silent workers are among them: a worker that is busy reads its commands later.

Celery knows a worker by its hostname alone, in the command and in the answer. Two workers of one hostname
both carry the command out and both answer, but which of the answers is whose can't be known.
"""

from __future__ import annotations

import asyncio
import functools
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
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
from services.monitor.tasks.tasks import ENDED_FOR_GOOD, Task
from services.monitor.workers.answers import Outcome, read_answer
from services.monitor.workers.daemon_threads import DaemonThreads

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
    if task is not None and task.state in ENDED_FOR_GOOD:
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
    """Sends commands to workers, which have `timeout` seconds to answer.

    `there` names the workers that are online or silent. `settled` tells whether that is all of them: while
    it is not, as in a monitor that has just started, a command goes to every worker of the broker, and
    answers are waited for until the time is over. `on_answer` gets the hostname of each answer, and when
    the command was sent.
    """

    def __init__(
        self,
        app: Celery,
        there: Callable[[], Sequence[WorkerName]],
        timeout: float,
        *,
        settled: Callable[[], bool] = lambda: True,
        on_answer: Callable[[str, float], None] = lambda hostname, asked_at: None,
    ) -> None:
        self._app = app
        self._there = there
        self.timeout = timeout
        self.settled = settled
        self._on_answer = on_answer
        # kombu blocks, and keeps one answer queue per thread: so a small, fixed set of threads calls it.
        self._threads = DaemonThreads(THREADS, "control")

    async def revoke(
        self,
        task_id: str | Sequence[str],
        *,
        own: WorkerName | None = None,
        terminate: bool = False,
        signal: str = "SIGTERM",
    ) -> list[Reply]:
        """Tells every worker to discard the task, or several.

        With `terminate` it also signals the processes that run them.

        `own`: the worker that was last heard to have the task, which is told even if it is taken for dead.
        Returns one reply for each worker that was asked or answered, by name. Raises `Unavailable` if there
        is no worker, if none answers, or if the broker is away.
        """
        task_ids = [task_id] if isinstance(task_id, str) else list(task_id)
        arguments = {"task_id": task_ids, "terminate": terminate, "signal": signal}
        workers = list(self._there())
        if own is not None and own.hostname not in {worker.hostname for worker in workers}:
            workers.append(own)
        settled = self.settled()
        if settled and not workers:
            raise _none_is_online()
        answers = await self.ask("revoke", arguments, workers if settled else None)
        if not answers and not workers:
            raise _none_is_online()
        if not answers:
            asked = ", ".join(sorted(map(str, workers))[:10])
            raise Unavailable(f"every worker asked ({asked}; no answer within {self.timeout} s)")
        replies = replies_of(workers, answers, f"no answer within {self.timeout} s")
        return sorted(replies, key=lambda reply: str(reply.worker))

    async def tell(
        self, command: str, workers: Sequence[WorkerName], arguments: Mapping[str, Any] | None = None
    ) -> None:
        """Sends a command to which no answer is waited for. Raises `Unavailable` if the broker is away."""
        loop = asyncio.get_running_loop()
        destination = sorted({worker.hostname for worker in workers})
        broadcast = self._app.control.broadcast
        send = functools.partial(broadcast, command, arguments=dict(arguments or {}), destination=destination)
        try:
            async with asyncio.timeout(2 * BROKER_SECONDS):
                await loop.run_in_executor(self._threads, send)
        except (TimeoutError, OperationalError, RedisError, OSError) as error:
            raise Unavailable("the broker") from error

    async def ask(
        self,
        command: str,
        arguments: Mapping[str, Any] | None = None,
        workers: Sequence[WorkerName] | None = None,
    ) -> Mapping[str, Sequence[Any]]:
        """Sends a command, and returns the answers by hostname; none if nobody answers in time.

        `workers`: who is asked, and waited for. None: every worker of the broker, known or not; then
        answers are waited for until the time is over. Raises `Unavailable` if the broker is away.
        """
        loop, asked_at = asyncio.get_running_loop(), time.monotonic()
        try:
            async with asyncio.timeout(self.timeout + 2 * BROKER_SECONDS):
                answers = await loop.run_in_executor(
                    self._threads, self._broadcast, command, arguments or {}, workers
                )
        except TimeoutError:
            answers = {}  # each answer restarts kombu's wait, so slow ones can exceed the limit
        except (OperationalError, RedisError, OSError) as error:
            raise Unavailable("the broker") from error
        for hostname in answers:
            self._on_answer(hostname, asked_at)
        return answers

    def _broadcast(
        self, command: str, arguments: Mapping[str, Any], workers: Sequence[WorkerName] | None
    ) -> dict[str, list[Any]]:
        """Returns the answers by hostname."""
        answers = self._app.control.broadcast(
            command,
            arguments=dict(arguments),
            destination=None if workers is None else sorted({worker.hostname for worker in workers}),
            reply=True,
            timeout=self.timeout,
            limit=None if workers is None else len(workers),
        )
        by_hostname = defaultdict(list)
        for answer in answers or []:
            for hostname, said in answer.items():
                by_hostname[hostname].append(said)
        return by_hostname


def _none_is_online() -> Unavailable:
    return Unavailable("a worker (none is online; one that comes is told that the task is revoked)")


def replies_of(
    workers: Iterable[WorkerName],
    answers: Mapping[str, Sequence[Any]],
    silence: str,
    read: Callable[[Any], tuple[Outcome, str]] = read_answer,
) -> list[Reply]:
    """Returns a reply for each worker that was asked, and for each answer beyond those.

    Where a hostname has several workers or several answers, they are called by the hostname. `silence`: the
    message for a worker that gave no answer. `read`: what an answer to this command means.
    """
    asked: defaultdict[str, list[WorkerName]] = defaultdict(list)
    for worker in workers:
        asked[worker.hostname].append(worker)
    for hostname in answers:
        asked[hostname] = asked[hostname] or [WorkerName(hostname)]
    replies = []
    for hostname, named in asked.items():
        found = [read(said) for said in answers.get(hostname, [])]
        found += [(Outcome.NO_ANSWER, silence)] * (len(named) - len(found))
        names = named if len(found) == 1 else [WorkerName(hostname)] * len(found)
        replies += [Reply(name, *each) for name, each in zip(names, found, strict=True)]
    return replies
