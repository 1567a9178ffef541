"""Runs a service as a process: its commands, its settings, its start and its graceful end."""

from __future__ import annotations

import argparse
import asyncio
import gc
import signal
import typing
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from types import MappingProxyType
from typing import TypeVar

import structlog
import uvloop
from prometheus_client import CollectorRegistry

from services.kernel import logging, metrics
from services.kernel.channel import channel_to
from services.kernel.database import Database
from services.kernel.database_address import unusable
from services.kernel.endings import end, to_the_end
from services.kernel.grpc.audit import record
from services.kernel.grpc.readable import AS_DECLARED, Readers
from services.kernel.grpc.server import Elsewhere, Server, Servicer, Step
from services.kernel.grpc.steps import steps_of_every_call
from services.kernel.live_keys import LOG_LEVEL
from services.kernel.live_settings import Follower, LiveSettings
from services.kernel.loops import Background
from services.kernel.outages import NotLetIn
from services.kernel.outbox import Outbox
from services.kernel.pace import USUAL, Pace
from services.kernel.pooler import NoSessions, refuse_pooled_transactions
from services.kernel.probes import Check, Probes
from services.kernel.probes import serve as serve_probes
from services.kernel.relay import Relay
from services.kernel.revocations import Revocations
from services.kernel.schema import needed_revision, wait_for_tables
from services.kernel.settings import KernelSettings
from services.kernel.stuck_clients import StuckClients
from services.kernel.tokens import TokenVerifier
from services.kernel.variables import read, unknown

log = structlog.get_logger(__name__)

Settings = TypeVar("Settings", bound=KernelSettings)


def main(
    service: str,
    settings_type: type[Settings],
    commands: Mapping[str, Callable[[Settings], Awaitable[None] | None]],
    bare_commands: Mapping[str, Callable[[], None]] = MappingProxyType({}),
) -> None:
    """Reads the command line and the settings, and runs the command. Every service has `migrate`.

    A command returns an awaitable, which is then run, or does its work itself and returns None. Bare commands
    run without settings.
    """
    parser = argparse.ArgumentParser(prog=f"python -m services.{service}")
    parser.add_argument("command", choices=[*commands, *bare_commands, "migrate"])
    command = parser.parse_args().command
    if command in bare_commands:
        logging.configure(service, "INFO")
        bare_commands[command]()
        return
    settings = read(settings_type)
    logging.configure(service, settings.log_level)
    if ignored := unknown():
        log.warning("settings.unknown_variables", ignored=ignored)
    log.info("process.starting", command=command, settings=settings.model_dump(mode="json"))
    if command == "migrate":
        # Imported here, because Alembic takes a third of a second to load and only this command needs it.
        from services.kernel.migrations import migrate

        url = settings.database_url.get_secret_value()
        try:
            uvloop.run(migrate(url, service))
        except (ConnectionError, TimeoutError, NotLetIn) as error:
            raise SystemExit(unusable(url, error)) from None
        log.info("migrate.done", revision=needed_revision(service))
        return
    _settle_imports()
    work = commands[command](settings)
    if work is not None:
        uvloop.run(_to_coroutine(work))


def _settle_imports() -> None:
    """Excludes all imported objects from garbage collection, as they live as long as the process.

    Also drops the registered overloads, which nothing reads at run time: redis-py has a thousand of them,
    which take a megabyte.
    """
    typing.clear_overloads()
    gc.collect()
    gc.freeze()


async def _to_coroutine(work: Awaitable[None]) -> None:
    await work


@asynccontextmanager
async def opened_database(settings: KernelSettings, service: str) -> AsyncIterator[Database]:
    """Yields the service's connections to the database, once that has its tables; closes them at the end."""
    database = Database(
        settings.database_url.get_secret_value(), settings.database_pool_size, f"celeriac-{service}"
    )
    try:
        await wait_for_tables(database, service)
        try:
            await refuse_pooled_transactions(database.url)
        except NoSessions as error:
            raise SystemExit(str(error)) from None
        yield database
    finally:
        await database.close()


async def run(
    service: str,
    settings: KernelSettings,
    database: Database,
    registry: CollectorRegistry,
    *,
    servicers: Sequence[Servicer],
    own_steps: Sequence[Step] = (),
    background: Sequence[Background] = (),
    elsewhere: Elsewhere | None = None,
    live: LiveSettings | None = None,
    source: Background | None = None,
    checks: Mapping[str, Check] = MappingProxyType({}),
    readers: Readers = AS_DECLARED,
    pace: Pace = USUAL,
) -> None:
    """Serves until SIGTERM or SIGINT, then finishes the calls in flight, and last ends the background work.

    A background loop that fails ends the process. Its supervisor then restarts it, which is better than a
    process that stays alive without doing its work.

    `own_steps`: steps of this service alone, taken for each call after those of all services.
    `source`: keeps `live` up to date; by default it follows the scheduler.
    `checks`: what must be well, beside the database, for the process to be ready.
    `readers`: the least role for fields that others than declared in the contract may read.
    """
    live = _logging_by(live or LiveSettings(service), settings)
    metrics.follow_config(registry, live)
    outbox = Outbox(database, service)
    verifier = TokenVerifier(
        settings.token_keys, settings.token_issuer, settings.token_audience, settings.second_factor_life
    )
    revocations = Revocations(database, pace)
    calls, recording = metrics.CallMetrics(registry), [record(outbox)]
    every = steps_of_every_call(calls, verifier, recording, revocations, readers)
    steps = [*every, *own_steps]
    stop = _stop_signal()
    host = settings.listen.rpartition(":")[0]
    async with (
        channel_to("audit", settings) as to_audit,
        channel_to("scheduler", settings) as to_scheduler,
    ):
        relay, following = Relay(outbox, to_audit, pace).loop, source or Follower(live, to_scheduler, pace)
        running = [*background, relay, following, revocations, StuckClients(database, pace).loop]
        heartbeats = [heartbeat for each in running for heartbeat in each.heartbeats]
        server = Server(settings, servicers, steps, elsewhere, heartbeats)
        metrics.LoopMetrics(registry, heartbeats)
        probes = Probes({"database": database.check, **checks}, heartbeats)
        serve_probes(probes, registry, host, settings.metrics_port)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(to_the_end(_never_ending(each.run()))) for each in running]
            # Before the first call: nobody who is shut out may find a moment in which that is not known.
            await revocations.read()
            await server.start()
            if elsewhere is not None:
                tasks.append(group.create_task(to_the_end(_never_ending(server.follow_elsewhere()))))
            probes.serves(True)
            await stop.wait()
            probes.serves(False)
            log.info("process.stopping", drain_seconds=settings.drain, grace_seconds=settings.shutdown_grace)
            await server.stop(settings.shutdown_grace, settings.drain)
            await end(tasks)


async def run_alone(
    settings: KernelSettings,
    registry: CollectorRegistry,
    background: Sequence[Background],
    checks: Mapping[str, Check],
    serving: AbstractAsyncContextManager[None] | None = None,
) -> None:
    """Does background work, without serving gRPC calls, until SIGTERM or SIGINT.

    It tells of itself as a service does, on the metrics port; a loop that fails ends the process.

    `serving`: what it serves in another way, from its entry to its exit, which may take as long as requests
    under way need. The background work goes on meanwhile.
    """
    heartbeats = [heartbeat for each in background for heartbeat in each.heartbeats]
    metrics.LoopMetrics(registry, heartbeats)
    probes, stop = Probes(checks, heartbeats), _stop_signal()
    serve_probes(probes, registry, settings.listen.rpartition(":")[0], settings.metrics_port)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(to_the_end(_never_ending(each.run()))) for each in background]
        async with serving or nullcontext():
            probes.serves(True)
            await stop.wait()
            probes.serves(False)
            log.info("process.stopping")
        await end(tasks)


def _logging_by(live: LiveSettings, settings: KernelSettings) -> LiveSettings:
    def apply() -> None:
        wanted = live.get(LOG_LEVEL)
        logging.set_level(settings.log_level if wanted == LOG_LEVEL.default else wanted)

    live.on_change(apply)
    return live


async def _never_ending(work: Awaitable[None]) -> None:
    await work
    raise RuntimeError("a background loop ended by itself")


def _stop_signal() -> asyncio.Event:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop
