"""What sends tasks: it asks the scheduler, the result backend and workers for their arguments."""

from __future__ import annotations

import grpc.aio

from services.kernel import broker
from services.monitor.sending.finding import ArgumentFinder
from services.monitor.sending.many_retries import ManyRetries
from services.monitor.sending.registered import RegisteredTasks
from services.monitor.sending.retries import Retries
from services.monitor.sending.runs import Runs
from services.monitor.sending.scheduled import Scheduled
from services.monitor.sending.sender import WOULD_WAIT, Sender
from services.monitor.sending.sending import Sending
from services.monitor.serving.ground import Ground
from services.monitor.serving.steering import Steering


def sending_on(ground: Ground, steering: Steering, scheduler: grpc.aio.Channel) -> Sending:
    settings, database, control = ground.settings, ground.database, steering.control
    halting, pauses = steering.halting, steering.pauses

    async def refuse_stopped(queue: str) -> None:
        await halting.refuse_stopped(WOULD_WAIT)
        await pauses.refuse_paused(queue, WOULD_WAIT)

    finder = ArgumentFinder(
        Scheduled(scheduler).of_runs,
        ground.results.client,
        settings.result_key_prefix,
        control,
        ground.workers,
        database,
        ground.seals,
    )
    sender = Sender(ground.client, broker.broker_address(settings).database, settings.layout)
    registered = RegisteredTasks(control, ground.workers, steering.roll_call.ask_for_queues)
    retries = Retries(database, finder, sender, halting.refuse_stopped)
    many = ManyRetries(database, ground.sessions, ground.lists, finder, retries, ground.pace)
    return Sending(retries, many, Runs(database, registered, sender, refuse_stopped))
