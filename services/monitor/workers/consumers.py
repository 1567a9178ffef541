"""Tells workers to consume a queue, or to consume it no more, and looks whether they do.

A worker answers before it has done it, and does not tell whether it could. So it is asked afterwards.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

from services.monitor.tasks.names import WorkerName
from services.monitor.workers.answers import Outcome, read_done
from services.monitor.workers.choosing import Able, Choosing, Chosen
from services.monitor.workers.control import Control, Reply, replies_of
from services.monitor.workers.roll_call import RollCall

AGAIN_SECONDS = 0.05
SHARED = "another worker has its hostname, so which queues it consumes can't be known"
SILENT = "it answered that it would, and then nothing more; look whether it still runs"


class Consumers:
    """Each method returns one reply for each worker, by name. All raise as `Choosing.able` does.

    `refuse_stopped` raises `FailedPrecondition` for a queue of which no worker is to take messages now.
    """

    def __init__(
        self,
        control: Control,
        choosing: Choosing,
        roll_call: RollCall,
        refuse_stopped: Callable[[str], Awaitable[None]],
    ) -> None:
        self._refuse_stopped = refuse_stopped
        self._control = control
        self._choosing = choosing
        self._roll_call = roll_call

    async def add(self, chosen: Chosen, queue: str) -> Sequence[Reply]:
        await self._refuse_stopped(queue)
        able = self._choosing.named(chosen)
        able.refuse_if_none()
        return await self._told(able, "add_consumer", queue, consumed=True)

    async def cancel(self, chosen: Chosen, queue: str) -> Sequence[Reply]:
        able = self._choosing.named(chosen)
        consumed = await self._roll_call.ask_for_queues(able.workers)
        for worker in list(able.workers):
            if queue not in consumed.get(worker.hostname, {queue}):
                able.leave_out(worker, f"it does not consume the queue {queue!r}")
        able.refuse_if_none()
        return await self._told(able, "cancel_consumer", queue, consumed=False)

    async def _told(self, able: Able, command: str, queue: str, *, consumed: bool) -> Sequence[Reply]:
        answers = await self._control.ask(command, {"queue": queue}, able.workers)
        silence = f"no answer within {self._control.timeout} s"
        replies = replies_of(able.workers, answers, silence, read_done)
        doing = [reply.worker for reply in replies if reply.outcome is Outcome.DONE]
        failed = await self._not_seen(doing, queue, consumed=consumed)
        seen = [
            Reply(reply.worker, Outcome.FAILED, failed[reply.worker]) if reply.worker in failed else reply
            for reply in replies
        ]
        return sorted([*seen, *able.left_out], key=lambda reply: str(reply.worker))

    async def _not_seen(
        self, workers: Sequence[WorkerName], queue: str, *, consumed: bool
    ) -> Mapping[WorkerName, str]:
        """Returns the workers that were not seen to have done it in the time of an answer, and why."""
        deadline = time.monotonic() + self._control.timeout
        left, told = list(workers), await self._roll_call.ask_for_queues(workers)
        while True:
            left = [
                each
                for each in left
                if (queue in told.get(each.hostname, ())) is not consumed or each.hostname not in told
            ]
            if not left or time.monotonic() > deadline:
                break
            await asyncio.sleep(AGAIN_SECONDS)
            told = {**told, **await self._roll_call.ask_for_queues(left)}
        verb = "consumes it not yet" if consumed else "still consumes it"
        not_yet = f"it answered that it would, and {verb}"
        return {each: not_yet if each.hostname in told else self._unknown(each) for each in left}

    def _unknown(self, worker: WorkerName) -> str:
        return SHARED if self._choosing.shares_hostname(worker) else SILENT
