"""What steers workers: commands, the roll call, pauses, halts, and what is told to workers that come."""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import grpc.aio

from services.kernel.loops import Background
from services.monitor.api.workers import Acts
from services.monitor.halting.halting import Halting
from services.monitor.halting.held_mark import HeldMark
from services.monitor.halting.scheduler_client import SchedulerClient
from services.monitor.halting.working import Working
from services.monitor.serving.ground import Ground
from services.monitor.serving.hearing import Hearing
from services.monitor.tasks.names import WorkerName
from services.monitor.workers.choosing import Choosing
from services.monitor.workers.consumers import Consumers
from services.monitor.workers.control import Control, control_app
from services.monitor.workers.event_switch import EventSwitch
from services.monitor.workers.hello import Hello
from services.monitor.workers.pauses import Pauses
from services.monitor.workers.pools import Pools
from services.monitor.workers.revoked_tasks import RevokedTasks
from services.monitor.workers.roll_call import RollCall
from services.monitor.workers.shutdown import Shutdown
from services.monitor.workers.stopped_consumers import StoppedConsumers
from services.monitor.workers.store_senders import SenderStore
from services.monitor.workers.workers import WorkerTable


@dataclass(frozen=True)
class Steering:
    control: Control
    roll_call: RollCall
    stopped: StoppedConsumers
    pauses: Pauses
    halting: Halting
    working: Working
    revoked: RevokedTasks
    hello: Hello
    acts: Acts
    workers: WorkerTable

    def consumed(self) -> Collection[str] | None:
        """Returns the queues that workers consume, or that somebody has paused.

        None while that is not known of each worker, and while new tasks are stopped: then none is consumed.
        """
        if not self.control.settled() or self.halting.words:
            return None
        consumed = self.workers.consumed()
        return None if consumed is None else consumed | self.pauses.known

    @property
    def background(self) -> Sequence[Background]:
        return [
            self.roll_call.loop,
            self.revoked.loop,
            self.pauses.loop,
            self.stopped.loop,
            self.hello.loop,
            self.halting.loop,
            self.working.loop,
        ]


def steering_on(ground: Ground, hearing: Hearing, scheduler: grpc.aio.Channel) -> Steering:
    settings, database, workers, pace = ground.settings, ground.database, ground.workers, ground.pace
    comings, queues_told = hearing.comings, asyncio.Event()
    control, roll_call = _control(ground, hearing, queues_told)
    stopped = StoppedConsumers(control, workers, database, comings.newcomers.set, pace)
    pauses = Pauses(control, workers, database, stopped, queues_told, pace)
    client, mark = SchedulerClient(scheduler), HeldMark(settings.held_file)
    halting = Halting(database, control, workers, stopped, client, mark, pace)
    remembered = dt.timedelta(hours=settings.revocation_hours)
    revoked = RevokedTasks(control, workers, ground.sessions, remembered, comings.arrivals, pace)
    return Steering(
        control,
        roll_call,
        stopped,
        pauses,
        halting,
        Working(database, control, workers, halting, pace),
        revoked,
        Hello(control_app(settings, settings.key_prefix), revoked.that_hold, pace),
        _acts(ground, control, roll_call, halting, pauses),
        workers,
    )


def _control(ground: Ground, hearing: Hearing, queues_told: asyncio.Event) -> tuple[Control, RollCall]:
    settings, workers, intake = ground.settings, ground.workers, hearing.intake

    def answered(hostname: str, asked_at: float) -> None:
        now, arrived = time.monotonic(), int(time.time() * 1e6)
        worker = workers.answered(WorkerName(hostname), now, arrived, asked_at)
        if worker is not None:
            intake.worker_changed(worker)

    control = Control(
        control_app(settings, settings.key_prefix),
        workers.there,
        settings.control_timeout,
        settled=lambda: roll_call.made and intake.has_listened,
        on_answer=answered,
    )
    roll_call = RollCall(
        control,
        workers,
        intake.worker_changed,
        intake.other_queues,
        hearing.comings.newcomers,
        _switch(ground, control, lambda: intake.writes) if settings.enable_events else None,
        ground.pace,
        queues_told,
    )
    return control, roll_call


def _switch(ground: Ground, control: Control, writes: Callable[[], bool]) -> EventSwitch:
    async def has_sent(name: WorkerName, since: dt.datetime) -> bool:
        async with ground.sessions.reading() as session:
            return await SenderStore(session).has_sent(name, since)

    return EventSwitch(control, ground.workers, has_sent, writes)


def _acts(ground: Ground, control: Control, roll_call: RollCall, halting: Halting, pauses: Pauses) -> Acts:
    choosing = Choosing(control, ground.workers)

    async def refuse_stopped(queue: str) -> None:
        await halting.refuse_stopped("a worker would be told to consume nothing")
        await pauses.refuse_paused(queue, "a worker would be told to consume it no more")
        await ground.queues.refuse_unusable(queue)

    return Acts(
        Pools(control, choosing),
        Consumers(control, choosing, roll_call, refuse_stopped),
        Shutdown(control, choosing, ground.workers),
    )
