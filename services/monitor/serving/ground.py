"""What all parts of the monitor stand on: its settings, its connections, and what it knows in memory."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass

import redis.asyncio

from services.kernel import broker
from services.kernel.database import Database
from services.kernel.live_settings import LiveSettings
from services.kernel.opened_database import opened_database
from services.kernel.sessions import Sessions, opened_sessions
from services.monitor.figures import Figures
from services.monitor.gaps.results import ResultBackend
from services.monitor.pace import Pace
from services.monitor.queues import BrokerQueues
from services.monitor.sending.argument_keys import argument_seals
from services.monitor.settings import MonitorSettings
from services.monitor.tasks.result_client import ResultClient, opened_results
from services.monitor.tasks.sealed_arguments import ArgumentSeals
from services.monitor.tasks.store_lists import Lists, opened_lists
from services.monitor.tasks.stored_meta import StoredMetas
from services.monitor.workers.workers import WorkerTable

# How long the broker has for an answer: the gateway waits for a call three times as long.
BROKER_SECONDS = 5.0


@dataclass(frozen=True)
class Results:
    """The application's result backend: its client, and what reads by it. None: there is no backend."""

    client: ResultClient | None = None
    metas: StoredMetas | None = None
    backend: ResultBackend | None = None


@dataclass(frozen=True)
class Ground:
    """`client`: of the broker. `seals`: None where secret arguments are not kept."""

    settings: MonitorSettings
    pace: Pace
    database: Database
    sessions: Sessions
    lists: Lists
    client: redis.asyncio.Redis
    results: Results
    queues: BrokerQueues
    figures: Figures
    workers: WorkerTable
    seals: ArgumentSeals | None
    live: LiveSettings


async def opened_ground(settings: MonitorSettings, opened: AsyncExitStack) -> Ground:
    """Opens the connections; `opened` closes them."""
    pace, figures = Pace().times(settings.pace), Figures()
    database = await opened.enter_async_context(opened_database(settings, "monitor"))
    client = await opened.enter_async_context(broker.connect(settings, answer_seconds=BROKER_SECONDS))
    return Ground(
        settings,
        pace,
        database,
        await opened.enter_async_context(opened_sessions(database)),
        await opened.enter_async_context(opened_lists(database)),
        client,
        await _results(settings, opened),
        BrokerQueues(client, settings.layout, heard=lambda: figures.queues),
        figures,
        WorkerTable(pace.roll_call),
        argument_seals(settings),
        LiveSettings("monitor"),
    )


async def _results(settings: MonitorSettings, opened: AsyncExitStack) -> Results:
    address = broker.backend_address(settings)
    if address is None:
        return Results()
    client = await opened.enter_async_context(opened_results(address))
    prefix = settings.result_key_prefix
    return Results(client, StoredMetas(client, prefix), ResultBackend(client, prefix))
