"""The command `serve`: builds the monitor, and runs it."""

from __future__ import annotations

import asyncio
import datetime as dt
import gc
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack

import grpc.aio
import redis.asyncio
from celeriac.monitor.v1 import (
    monitoring_pb2_grpc,
    queues_pb2_grpc,
    system_pb2_grpc,
    tasks_pb2_grpc,
    workers_pb2_grpc,
)
from celeriac.monitor.v1.monitoring_pb2 import WatchEventsResponse
from celeriac.operations.v1 import operations_pb2_grpc

from services import DOOR, SERVICES
from services.kernel import broker, service
from services.kernel.certificates import Certificates
from services.kernel.channel import channel_to
from services.kernel.database import Database
from services.kernel.grpc.server import Elsewhere, Servicer
from services.kernel.live_settings import LiveSettings
from services.kernel.loops import Background, Heartbeat
from services.kernel.metrics import new_registry
from services.kernel.opened_database import opened_database
from services.kernel.operations import Owner
from services.kernel.outages import DATABASE_ERRORS
from services.kernel.sessions import Sessions, opened_sessions
from services.monitor.api.dashboard import DashboardApi
from services.monitor.api.front_page import FrontPage
from services.monitor.api.halts import Halts
from services.monitor.api.monitoring import MonitoringApi, task_message, tasks_message, worker_message
from services.monitor.api.operations import OperationApi, watch_response_to
from services.monitor.api.prometheus import MonitorCollector
from services.monitor.api.queues import QueueApi
from services.monitor.api.system import SystemApi
from services.monitor.api.tasks import TaskApi, readers_of_arguments
from services.monitor.api.workers import Acts, WorkerApi
from services.monitor.figures import Figures
from services.monitor.gaps.broker_lives import BrokerLives
from services.monitor.gaps.collecting import Collecting
from services.monitor.gaps.gaps import Gaps
from services.monitor.gaps.orphans import Orphans
from services.monitor.gaps.places import TaskPlaces
from services.monitor.gaps.recording import GapRecorder
from services.monitor.gaps.repairing import GapRepair
from services.monitor.gaps.results import ResultBackend
from services.monitor.gaps.retention import gap_retention
from services.monitor.gaps.stored_ends import StoredEnds
from services.monitor.gaps.unheard_ends import UnheardEnds
from services.monitor.gaps.waiting import WaitingTasks
from services.monitor.halting.halting import Halting
from services.monitor.halting.held_mark import HeldMark
from services.monitor.halting.scheduler_client import SchedulerClient
from services.monitor.halting.working import Working
from services.monitor.intake.intake import Bounds, Intake
from services.monitor.intake.kept_events import KeptStream, opened_stream
from services.monitor.intake.subscription import EventSource
from services.monitor.messages.flow import Flows
from services.monitor.messages.measures import QueueMeasures
from services.monitor.messages.moving import Moves
from services.monitor.messages.overview import Overview
from services.monitor.messages.purging import Purges
from services.monitor.messages.waiting_messages import WaitingMessages
from services.monitor.operations.watching import Watching
from services.monitor.pace import Pace
from services.monitor.queues import BrokerQueues
from services.monitor.search.indexing import Indexing
from services.monitor.sending.argument_keys import argument_seals
from services.monitor.sending.finding import ArgumentFinder
from services.monitor.sending.many_retries import ManyRetries
from services.monitor.sending.registered import RegisteredTasks
from services.monitor.sending.retries import Retries
from services.monitor.sending.runs import Runs
from services.monitor.sending.scheduled import Scheduled
from services.monitor.sending.sender import Sender
from services.monitor.sending.sending import Sending
from services.monitor.settings import MonitorSettings
from services.monitor.system import checks
from services.monitor.system.components import Components, Followed, Look
from services.monitor.system.door import door
from services.monitor.system.hanging import HangingLook
from services.monitor.system.host import HostFigures
from services.monitor.system.next_runs import NextRuns
from services.monitor.system.peers import audit, health_elsewhere, peer, services_elsewhere
from services.monitor.system.readiness import Readiness
from services.monitor.tasks.generations import Generations
from services.monitor.tasks.names import WorkerName
from services.monitor.tasks.result_client import ResultClient, opened_results
from services.monitor.tasks.retention import task_retention
from services.monitor.tasks.sealed_arguments import ArgumentSeals
from services.monitor.tasks.store_lists import Lists, opened_lists
from services.monitor.tasks.store_tasks import TaskStore
from services.monitor.tasks.stored_meta import StoredMetas
from services.monitor.tasks.task_results import TaskResults
from services.monitor.tasks.tasks import TaskState
from services.monitor.watch.hub import Hub
from services.monitor.watch.pulse import Pulse
from services.monitor.workers.choosing import Choosing
from services.monitor.workers.consumers import Consumers
from services.monitor.workers.control import Control, control_app
from services.monitor.workers.deletions import Deletions
from services.monitor.workers.event_switch import EventSwitch
from services.monitor.workers.hello import Hello
from services.monitor.workers.inspecting import Inspector
from services.monitor.workers.pauses import Pauses
from services.monitor.workers.pools import Pools
from services.monitor.workers.revoked_tasks import RevokedTasks
from services.monitor.workers.roll_call import RollCall
from services.monitor.workers.shutdown import Shutdown
from services.monitor.workers.stopped_consumers import StoppedConsumers
from services.monitor.workers.store_senders import SenderStore
from services.monitor.workers.worker import Worker, WorkerState
from services.monitor.workers.workers import WorkerTable

# How many more objects are made than dropped before Python looks for those that refer to each other, and how
# many of these looks pass before one goes through all tasks in memory, among which there are none.
GARBAGE_LOOKS = (20_000, 20, 50)


async def serve(settings: MonitorSettings) -> None:
    gc.set_threshold(*GARBAGE_LOOKS)
    pace = Pace().times(settings.pace)
    async with AsyncExitStack() as opened:
        database = await opened.enter_async_context(opened_database(settings, "monitor"))
        sessions = await opened.enter_async_context(opened_sessions(database))
        lists = await opened.enter_async_context(opened_lists(database))
        client = await opened.enter_async_context(broker.connect(settings))
        results, metas, backend = await _results(settings, opened)
        figures, workers, seals = Figures(), WorkerTable(pace.roll_call), argument_seals(settings)
        hub = Hub(task_message, tasks_message, worker_message, settings.watch_buffer)
        newcomers, arrivals = asyncio.Event(), asyncio.Event()
        kept = await opened.enter_async_context(opened_stream(settings.relay_url))
        intake = _intake(
            settings,
            kept,
            database,
            figures,
            workers,
            hub,
            (newcomers, arrivals),
            lambda: repair.worker_left(),
            seals,
            pace,
        )
        queues = BrokerQueues(client, settings.layout, heard=lambda: figures.queues)
        await intake.totals.read()
        pulse = Pulse(figures, workers, queues, pace, intake.totals)
        queues_told = asyncio.Event()
        control, roll_call = _control(settings, sessions, workers, intake, newcomers, queues_told, pace)
        stopped = StoppedConsumers(control, workers, database, newcomers.set, pace)
        pauses = Pauses(control, workers, database, stopped, queues_told, pace)
        scheduler = await opened.enter_async_context(channel_to("scheduler", settings))
        halting = Halting(
            database,
            control,
            workers,
            stopped,
            SchedulerClient(scheduler),
            HeldMark(settings.held_file),
            pace,
        )
        remembered = dt.timedelta(hours=settings.revocation_hours)
        revoked = RevokedTasks(control, workers, sessions, remembered, arrivals, pace)
        sending = _sending(
            settings,
            scheduler,
            halting,
            database,
            sessions,
            lists,
            client,
            results,
            control,
            workers,
            roll_call,
            seals,
            pace,
        )
        hello = Hello(control_app(settings, settings.key_prefix), revoked.that_hold, pace)
        waiting = WaitingTasks(client, settings.layout, queues)
        places = TaskPlaces(waiting, control, workers, intake)
        lives = BrokerLives(client, settings.key_prefix, database)
        repair = GapRepair(database, intake, backend, places, workers, lives, pace)
        orphans = Orphans(database, intake, places, workers, backend, lambda: bool(repair.open), pace)
        deletions = Deletions(database, workers, pace, repair.worker_left)
        collecting = Collecting(database, intake, figures, repair.woken.set, pace)
        await collecting.look()
        gaps = Gaps(GapRecorder(database, intake, figures, repair.woken.set, pace), repair)
        elsewhere, live = services_elsewhere(), LiveSettings("monitor")
        generations = Generations(database, live, settings.tasks_bytes, pace)
        heartbeats = [*intake.heartbeats, *pulse.loop.heartbeats, *gaps.heartbeats]
        hanging = HangingLook(
            database,
            queues,
            lambda: workers.consumed() if control.settled() else None,
            lambda: orphans.stranded,
            pace,
        )
        components = await _components(
            settings,
            opened,
            database,
            client,
            lives,
            figures,
            workers,
            gaps,
            collecting,
            lambda: halting.words,
            hanging,
            generations,
            heartbeats,
            pace,
        )
        registry = new_registry()
        queue_api, measures = _queues(settings, client, queues, sessions, figures, workers, control, pauses)
        registry.register(
            MonitorCollector(figures, workers, pulse, components, hub, gaps, intake, generations, measures)
        )
        front_page = FrontPage(
            pulse, intake.totals, workers, database, lists, NextRuns(scheduler), HostFigures()
        )
        working = Working(database, control, workers, halting, pace)
        watching = Watching(database, sessions, watch_response_to, pace, settings.watch_buffer)
        await service.run(
            "monitor",
            settings,
            database,
            registry,
            servicers=_servicers(
                DashboardApi(pulse, hub, workers, components, front_page, collecting, pace),
                OperationApi(sessions, watching, pace),
                queue_api,
                SystemApi(
                    components,
                    Readiness(components, settings.ready_file),
                    settings.time_zone,
                    database,
                    front_page,
                    Halts(halting, working, sessions),
                ),
                TaskApi(
                    sessions,
                    lists,
                    revoked,
                    workers,
                    sending,
                    TaskResults(results, settings.result_key_prefix, settings.redaction),
                    metas,
                    settings.readers_of_arguments,
                ),
                WorkerApi(
                    workers,
                    deletions,
                    Inspector(control, workers.shared, settings.redaction),
                    _acts(control, workers, roll_call, halting, pauses),
                ),
            ),
            background=[
                intake,
                roll_call.loop,
                *_looks(database, intake, control, workers, backend, pace),
                orphans.loop,
                deletions.loop,
                revoked.loop,
                sending.many.loop,
                pauses.loop,
                stopped.loop,
                hello.loop,
                pulse.loop,
                components,
                gaps,
                collecting.loop,
                halting.loop,
                working.loop,
                Owner(database, "monitor", pace=pace),
                generations.loop,
                *_upkeep(database, live, figures, pace),
                watching.loop,
            ],
            elsewhere=Elsewhere(list(elsewhere), health_elsewhere(components, elsewhere)),
            live=live,
            checks={"broker": client.ping, "events": intake.check},
            readers=readers_of_arguments(settings.readers_of_arguments),
            pace=pace,
        )


def _intake(
    settings: MonitorSettings,
    kept: KeptStream | None,
    database: Database,
    figures: Figures,
    workers: WorkerTable,
    hub: Hub[WatchEventsResponse],
    newcomers: Sequence[asyncio.Event],
    on_gone: Callable[[], None],
    seals: ArgumentSeals | None,
    pace: Pace,
) -> Intake:
    """`newcomers` are set when a worker comes that has answered no roll call yet; `on_gone` is called when
    one is gone."""

    def worker_changed(worker: Worker) -> None:
        hub.worker_changed(worker)
        if worker.state is WorkerState.ONLINE and not worker.pool:
            for each in newcomers:
                each.set()
        elif worker.state is WorkerState.GONE:
            on_gone()

    return Intake(
        EventSource(broker.broker_address(settings), settings.key_prefix),
        database,
        figures,
        workers,
        on_tasks=hub.tasks_changed,
        on_worker=worker_changed,
        on_unwatched=hub.unwatched,
        wants=hub.wants,
        kept=kept,
        bounds=Bounds(tasks=settings.tasks_in_memory),
        redaction=settings.redaction_by(seals.seal if seals else None),
        pace=pace,
    )


def _control(
    settings: MonitorSettings,
    sessions: Sessions,
    workers: WorkerTable,
    intake: Intake,
    newcomers: asyncio.Event,
    queues_told: asyncio.Event,
    pace: Pace,
) -> tuple[Control, RollCall]:
    def answered(hostname: str, asked_at: float) -> None:
        now, arrived = time.monotonic(), int(time.time() * 1e6)
        worker = workers.answered(WorkerName(hostname), now, arrived, asked_at)
        if worker is not None:
            intake.worker_changed(worker)

    async def has_sent(name: WorkerName, since: dt.datetime) -> bool:
        async with sessions.reading() as session:
            return await SenderStore(session).has_sent(name, since)

    control = Control(
        control_app(settings, settings.key_prefix),
        workers.there,
        settings.control_timeout,
        settled=lambda: roll_call.made and intake.has_listened,
        on_answer=answered,
    )
    switch = (
        EventSwitch(control, workers, has_sent, lambda: intake.writes) if settings.enable_events else None
    )
    roll_call = RollCall(
        control, workers, intake.worker_changed, intake.other_queues, newcomers, switch, pace, queues_told
    )
    return control, roll_call


def _acts(
    control: Control, workers: WorkerTable, roll_call: RollCall, halting: Halting, pauses: Pauses
) -> Acts:
    choosing = Choosing(control, workers)

    async def refuse_stopped(queue: str) -> None:
        await halting.refuse_stopped("a worker would be told to consume nothing")
        await pauses.refuse_paused(queue)

    return Acts(
        Pools(control, choosing),
        Consumers(control, choosing, roll_call, refuse_stopped),
        Shutdown(control, choosing, workers),
    )


async def _results(
    settings: MonitorSettings, opened: AsyncExitStack
) -> tuple[ResultClient | None, StoredMetas | None, ResultBackend | None]:
    """The client of the application's result backend, and what reads by it; None where there is none."""
    address = broker.backend_address(settings)
    if address is None:
        return None, None, None
    client = await opened.enter_async_context(opened_results(address))
    prefix = settings.result_key_prefix
    return client, StoredMetas(client, prefix), ResultBackend(client, prefix)


def _sending(
    settings: MonitorSettings,
    scheduler: grpc.aio.Channel,
    halting: Halting,
    database: Database,
    sessions: Sessions,
    lists: Lists,
    client: redis.asyncio.Redis,
    results: ResultClient | None,
    control: Control,
    workers: WorkerTable,
    roll_call: RollCall,
    seals: ArgumentSeals | None,
    pace: Pace,
) -> Sending:
    """What sends tasks: it asks the scheduler, the result backend and workers for their arguments."""
    finder = ArgumentFinder(
        Scheduled(scheduler).of_runs,
        results,
        settings.result_key_prefix,
        control,
        workers,
        database,
        seals,
    )
    sender = Sender(client, broker.broker_address(settings).database, settings.layout)
    registered = RegisteredTasks(control, workers, roll_call.ask_for_queues)
    retries = Retries(database, finder, sender, halting.refuse_stopped)
    many = ManyRetries(database, sessions, lists, finder, retries, pace)
    return Sending(retries, many, Runs(database, registered, sender, halting.refuse_stopped))


def _queues(
    settings: MonitorSettings,
    client: redis.asyncio.Redis,
    queues: BrokerQueues,
    sessions: Sessions,
    figures: Figures,
    workers: WorkerTable,
    control: Control,
    pauses: Pauses,
) -> tuple[QueueApi, QueueMeasures]:
    """The servicer of queues, and what Prometheus is told of them."""
    messages = WaitingMessages(client, settings.layout)

    def consumers() -> tuple[Mapping[str, Sequence[WorkerName]], bool]:
        by_queue, all_told = workers.consumers()
        return by_queue, all_told and control.settled()

    def received() -> Mapping[str, int]:
        counts = figures.by_queue.items()
        return {queue: count for (queue, state), count in counts if state is TaskState.RECEIVED}

    async def sent_times(task_ids: Sequence[str]) -> Mapping[str, dt.datetime]:
        try:
            async with sessions.reading() as session:
                return await TaskStore(session).sent_times(task_ids)
        except DATABASE_ERRORS:
            return {}

    measures = QueueMeasures(messages, Flows(received), consumers, sent_times)
    return (
        QueueApi(
            Overview(queues, messages, Flows(received), consumers, sent_times, pauses.all),
            messages,
            Moves(client, settings.layout, messages),
            Purges(client, settings.layout),
            pauses,
            settings.redaction,
        ),
        measures,
    )


def _looks(
    database: Database,
    intake: Intake,
    control: Control,
    workers: WorkerTable,
    backend: ResultBackend | None,
    pace: Pace,
) -> Sequence[Background]:
    """What looks for ends of tasks that no event tells."""
    unheard = UnheardEnds(database, intake, control, workers, backend, pace)
    return [unheard.loop, *([StoredEnds(database, intake, backend, pace).loop] if backend else [])]


def _upkeep(database: Database, live: LiveSettings, figures: Figures, pace: Pace) -> Sequence[Background]:
    """What keeps tables small, and the search index up to date."""
    indexing = Indexing(
        database,
        lambda: figures.events_per_second(time.monotonic()),
        lambda: figures.rows_written,
        pace,
    )
    old = task_retention(database, live, pace), gap_retention(database, live, pace)
    return [indexing.loop, *(each.loop for each in old)]


async def _components(
    settings: MonitorSettings,
    opened: AsyncExitStack,
    database: Database,
    client: redis.asyncio.Redis,
    lives: BrokerLives,
    figures: Figures,
    workers: WorkerTable,
    gaps: Gaps,
    collecting: Collecting,
    halted: Callable[[], str],
    hanging: HangingLook,
    generations: Generations,
    heartbeats: Sequence[Heartbeat],
    pace: Pace,
) -> Components:
    """Builds the components. Their order here is the order in which they are shown."""
    peers: dict[str, Look | Followed] = {}
    for name in SERVICES:
        if name != "monitor":
            channel = await opened.enter_async_context(channel_to(name, settings))
            peers[name] = audit(channel) if name == "audit" else peer(channel)
    if settings.door_address is not None:
        peers[DOOR] = door(settings.door_address, Certificates(settings))
    return Components(
        {
            **peers,
            "monitor": checks.monitor_look(figures, heartbeats, lambda: generations.remark),
            "database": checks.DatabaseLook(database),
            "broker": checks.broker_look(client, lives.look),
            "workers": checks.workers_look(workers, halted),
            "events": checks.EventsLook(
                figures, lambda: gaps.fault, lambda: gaps.told_losses, lambda: collecting.words
            ),
            "tasks": hanging,
        },
        pace,
    )


def _servicers(
    monitoring: MonitoringApi,
    operations: OperationApi,
    queues: QueueApi,
    system: SystemApi,
    tasks: TaskApi,
    workers: WorkerApi,
) -> list[Servicer]:
    return [
        Servicer.generated(monitoring_pb2_grpc.add_MonitoringServiceServicer_to_server, monitoring),
        Servicer.generated(operations_pb2_grpc.add_OperationServiceServicer_to_server, operations),
        Servicer.generated(queues_pb2_grpc.add_QueueServiceServicer_to_server, queues),
        Servicer.generated(system_pb2_grpc.add_SystemServiceServicer_to_server, system),
        Servicer.generated(tasks_pb2_grpc.add_TaskServiceServicer_to_server, tasks),
        Servicer.generated(workers_pb2_grpc.add_WorkerServiceServicer_to_server, workers),
    ]
