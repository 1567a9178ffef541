"""A process: its commands, its settings, its start, what it tells of itself, and its graceful end.

What serves gRPC is in `service.py`: a process without it, as the monitor's relay is, loads neither gRPC nor
what verifies tokens nor the driver of the database.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import signal
import typing
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import structlog
import uvloop
from prometheus_client import CollectorRegistry

from services.kernel import logging, metrics, stacks
from services.kernel.endings import end, to_the_end
from services.kernel.loops import Background, Heartbeat
from services.kernel.probes import Check, Probes
from services.kernel.probes import serve as serve_probes
from services.kernel.settings import KernelSettings
from services.kernel.variables import read, unknown

log = structlog.get_logger(__name__)

Settings = TypeVar("Settings", bound=KernelSettings)


def main(
    service: str,
    settings_type: type[Settings],
    commands: Mapping[str, Callable[[Settings], Awaitable[None] | None]],
    bare_commands: Mapping[str, Callable[[], None]] = MappingProxyType({}),
    folder_commands: Mapping[str, Callable[[Path], None]] = MappingProxyType({}),
) -> None:
    """Reads the command line and the settings, and runs the command. Every service has `migrate`.

    A command returns an awaitable, which is then run, or does its work itself and returns None. Bare commands
    run without settings, and so do commands on a folder, which the command line names after them. Raises
    `SystemExit` if it can't start: its last log line then says why.
    """
    parser = argparse.ArgumentParser(prog=f"python -m services.{service}")
    parser.add_argument("command", choices=[*commands, *bare_commands, *folder_commands, "migrate"])
    if folder_commands:
        parser.add_argument("folder", nargs="?", type=Path, help=f"of {', '.join(folder_commands)}")
    arguments = parser.parse_args()
    command: str = arguments.command
    folder: Path | None = getattr(arguments, "folder", None)
    if (command in folder_commands) != (folder is not None):
        parser.error(f"{command} needs a folder" if folder is None else f"{command} takes no folder")
    stacks.tell_when_asked()
    logging.configure(service, "INFO")
    try:
        if folder is not None:
            folder_commands[command](folder)
        elif command in bare_commands:
            bare_commands[command]()
        else:
            _run(service, command, read(settings_type), commands)
    except SystemExit as refusal:
        raise logging.refused(refusal) from None


def _run(
    service: str,
    command: str,
    settings: Settings,
    commands: Mapping[str, Callable[[Settings], Awaitable[None] | None]],
) -> None:
    logging.set_level(settings.log_level)
    if ignored := unknown():
        log.warning("settings.unknown_variables", ignored=ignored)
    log.info("process.starting", command=command, settings=settings.model_dump(mode="json"))
    if command == "migrate":
        _migrate(settings, service)
        return
    _settle_imports()
    work = commands[command](settings)
    if work is not None:
        uvloop.run(_to_coroutine(work))


def _migrate(settings: KernelSettings, service: str) -> None:
    # Imported here, because Alembic takes a third of a second to load and only this command needs it.
    from services.kernel.database_address import unusable
    from services.kernel.migrations import migrate
    from services.kernel.outages import NotLetIn
    from services.kernel.schema import needed_revision

    url = settings.database_url.get_secret_value()
    try:
        uvloop.run(migrate(url, service))
    except (ConnectionError, TimeoutError, NotLetIn) as error:
        raise SystemExit(unusable(url, error)) from None
    log.info("migrate.done", schema_revision=needed_revision(service))


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


@dataclass(frozen=True)
class Running:
    """A process whose background work runs: in its body is what else it does."""

    heartbeats: Sequence[Heartbeat]
    _probes: Probes
    _group: asyncio.TaskGroup
    _tasks: list[asyncio.Task[None]]
    _stop: asyncio.Event

    def beside(self, work: Coroutine[Any, Any, None]) -> None:
        """Also does this work, which ends only with the process."""
        self._tasks.append(self._group.create_task(to_the_end(_never_ending(work))))

    async def waited_for(self, first: Coroutine[Any, Any, None]) -> bool:
        """Waits for what must be done first; returns False if the process is to stop before it is done."""
        doing, stopping = asyncio.create_task(first), asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait({doing, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if doing.done():
                doing.result()
            return doing.done()
        finally:
            doing.cancel()
            stopping.cancel()

    async def until_stopped(self, **told: float) -> None:
        """Says that the process serves, until SIGTERM or SIGINT; `told` is logged then."""
        self._probes.serves(True)
        await self._stop.wait()
        self._probes.serves(False)
        log.info("process.stopping", **told)


@asynccontextmanager
async def running(
    settings: KernelSettings,
    registry: CollectorRegistry,
    background: Sequence[Background],
    checks: Mapping[str, Check],
) -> AsyncIterator[Running]:
    """Does background work for as long as the body runs, and tells of itself on the metrics port.

    A background loop that fails ends the process. Its supervisor then restarts it, which is better than a
    process that stays alive without doing its work.

    `checks`: what must be well for the process to be ready.
    """
    heartbeats = [heartbeat for each in background for heartbeat in each.heartbeats]
    metrics.LoopMetrics(registry, heartbeats)
    probes, stop = Probes(checks, heartbeats), _stop_signal()
    serve_probes(probes, registry, settings.listen.rpartition(":")[0], settings.metrics_port)
    async with asyncio.TaskGroup() as group:
        process = Running(heartbeats, probes, group, [], stop)
        for each in background:
            process.beside(each.run())
        yield process
        await end(process._tasks)


async def run_alone(
    settings: KernelSettings,
    registry: CollectorRegistry,
    background: Sequence[Background],
    checks: Mapping[str, Check],
    first: Callable[[], Coroutine[Any, Any, None]] | None = None,
    serving: AbstractAsyncContextManager[None] | None = None,
) -> None:
    """Does background work, without serving gRPC calls, until SIGTERM or SIGINT.

    `first`: what the background work must have done before anything is served.
    `serving`: what it serves in another way, from its entry to its exit, which may take as long as requests
    under way need. The background work goes on meanwhile.
    """
    async with running(settings, registry, background, checks) as process:
        if first is not None and not await process.waited_for(first()):
            return
        async with serving or nullcontext():
            await process.until_stopped()


async def _never_ending(work: Awaitable[None]) -> None:
    await work
    raise RuntimeError("a background loop ended by itself")


def _stop_signal() -> asyncio.Event:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop
