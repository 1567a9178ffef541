"""Asks one worker what it is doing now, part by part."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from services.kernel.errors import Unavailable
from services.monitor.tasks.names import WorkerName
from services.monitor.tasks.redaction import Redaction
from services.monitor.workers.control import Control
from services.monitor.workers.inspection import Inspection, NotTold, Part, Stats
from services.monitor.workers.own_host import measured, process_of
from services.monitor.workers.told_setup import configuration_in, consumed_in, registered_in
from services.monitor.workers.told_stats import stats_in
from services.monitor.workers.told_tasks import active_in, reserved_in, scheduled_in

# A command, its arguments, and what takes the answer in.
Asked: TypeAlias = tuple[str, Mapping[str, Any], Callable[[Any], None]]

SHARED = (
    "several workers have its hostname, and whose answer is whose can't be known; give each a hostname of its"
    " own (-n worker-%n@%h)"
)


class Inspector:
    """`shared`: whether several workers of a hostname are there."""

    def __init__(self, control: Control, shared: Callable[[str], bool], redaction: Redaction) -> None:
        self._control = control
        self._shared = shared
        self._redaction = redaction

    async def inspect(self, worker: WorkerName) -> Inspection:
        """Raises `Unavailable` if the worker does not answer, or if the broker is away."""
        asked_at = time.time()
        found = Inspection(worker, dt.datetime.fromtimestamp(asked_at, dt.UTC))
        found.stats = await self._stats(worker)
        if found.stats.pool is None:
            found.unknown[Part.POOL] = "the worker tells nothing of its pool"
        await asyncio.gather(
            _measure(found, found.stats, asked_at),
            *(self._take(found, part, *how) for part, how in self._asked(found).items()),
        )
        return found

    async def _stats(self, worker: WorkerName) -> Stats:
        """Who does not answer this is not asked for more."""
        said = (await self._control.ask("stats", workers=[worker])).get(worker.hostname, ())
        answered = [stats for each in said if (stats := stats_in(readable(each))) is not None]
        of_worker = [stats for stats in answered if worker.pid in (None, stats.pid)]
        if not of_worker:
            raise Unavailable(f"the worker {str(worker)!r} (no answer within {self._control.timeout} s)")
        return of_worker[0]

    def _asked(
        self, found: Inspection
    ) -> Mapping[Part, tuple[str, Mapping[str, Any], Callable[[Any], None]]]:
        """Returns what is asked for each part."""
        redaction = self._redaction

        def taken(field: str, read: Callable[[Any], Any]) -> Callable[[Any], None]:
            return lambda said: setattr(found, field, read(said))

        return {
            Part.QUEUES: ("active_queues", {}, taken("queues", consumed_in)),
            # Celery leaves attributes out whose names begin so: then the names of tasks stand alone.
            Part.REGISTERED_TASKS: (
                "registered",
                {"taskinfoitems": ["_"]},
                taken("registered", registered_in),
            ),
            Part.ACTIVE_TASKS: (
                "active",
                {"safe": True},
                taken("active", lambda said: active_in(said, redaction)),
            ),
            Part.RESERVED_TASKS: (
                "reserved",
                {},
                taken("reserved", lambda said: reserved_in(said, redaction)),
            ),
            Part.SCHEDULED_TASKS: (
                "scheduled",
                {},
                taken("scheduled", lambda said: scheduled_in(said, redaction)),
            ),
            Part.CONFIGURATION: (
                "conf",
                {},
                taken("configuration", lambda said: configuration_in(said, redaction)),
            ),
        }

    async def _take(
        self,
        found: Inspection,
        part: Part,
        command: str,
        arguments: Mapping[str, Any],
        take: Callable[[Any], None],
    ) -> None:
        hostname = found.worker.hostname
        try:
            answers = await self._control.ask(command, arguments, [found.worker])
            take(readable(self._only(hostname, answers.get(hostname, ()))))
        except (NotTold, Unavailable) as error:
            found.unknown[part] = str(error)

    def _only(self, hostname: str, said: Sequence[Any]) -> Any:
        """Returns the answer if it is known whose it is. An answer tells the hostname only."""
        if len(said) > 1 or self._shared(hostname):
            raise NotTold(SHARED)
        if not said:
            raise NotTold(f"no answer within {self._control.timeout} s")
        if isinstance(said[0], Mapping) and set(said[0]) == {"error"}:
            raise NotTold(f"the worker answered with an error: {str(said[0]['error'])[:500]}")
        return said[0]


async def _measure(found: Inspection, stats: Stats, asked_at: float) -> None:
    try:
        process = await asyncio.to_thread(process_of, found.worker.hostname, stats, asked_at)
        found.processes = tuple(await asyncio.to_thread(measured, process))
    except NotTold as error:
        found.unknown[Part.PROCESSES] = str(error)


def readable(said: Any) -> Any:
    """Returns an answer in which each text can be sent on: half of a surrogate pair becomes "?"."""
    try:
        text = json.dumps(said, ensure_ascii=False)
        text.encode()
    except UnicodeEncodeError:
        return json.loads(text.encode(errors="replace"))
    return said
