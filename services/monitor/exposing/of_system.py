"""The system's components, the broker's policy, the monitor's machine, what hangs, and operations."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import suppress

from services import DOOR, SERVICES
from services.kernel.database import Database
from services.kernel.outages import DATABASE_ERRORS
from services.monitor.exposing.families import Told, gauge, gauge_by, gauge_of_each, single
from services.monitor.exposing.newest import Newest
from services.monitor.measuring.measures import Reading
from services.monitor.operations.store_counts import operation_counts
from services.monitor.system.components import Components, Health

OPERATIONS_SECONDS = 3.0
# They tell of their certificates by themselves.
TELLING = frozenset((*SERVICES, DOOR))


class SystemMetrics:
    def __init__(self, components: Components, newest: Newest) -> None:
        self._components, self._newest = components, newest
        self._up = gauge_of_each("celeriac_component_up", "0 where it does not work", "component")
        self._answers = gauge_of_each(
            "celeriac_component_answer_seconds",
            "How long it took to answer when it was last asked",
            "component",
        )
        self._disks = gauge_of_each(
            "celeriac_disk_used_percent", "How full a disk of the monitor's machine is", "path"
        )
        self._certificates = gauge_of_each(
            "celeriac_certificate_left_seconds",
            "Until a certificate expires that no service tells of: of the gateway, or in a file",
            "certificate",
        )
        # By the name of the measure.
        self._singles = {
            "broker_can_drop_tasks": gauge(
                "celeriac_broker_can_drop_tasks", "1 if the broker's eviction policy can drop tasks"
            ),
            "runs_unheard": gauge(
                "celeriac_runs_unheard", "Runs long due of which no worker was heard to receive the task"
            ),
            "etas_long_past": gauge(
                "celeriac_etas_long_past", "Tasks that have not begun although their eta is long past"
            ),
            "cpu_percent": gauge("celeriac_host_cpu_percent", "How busy the monitor's machine is"),
            "load_average": gauge("celeriac_host_load_average", "Its load over a minute"),
            "memory_available_bytes": gauge(
                "celeriac_host_memory_available_bytes", "Its memory that programs can still get"
            ),
            "memory_total_bytes": gauge("celeriac_host_memory_total_bytes", "Its memory"),
        }

    def told(self) -> Iterator[Told]:
        components = self._components.all()
        yield self._up, {each.name: int(each.health is not Health.UNHEALTHY) for each in components}
        yield self._answers, {each.name: each.latency for each in components if each.latency is not None}
        yield self._disks, self._newest.values("disk_used_percent")
        left = self._newest.values("certificate_left_seconds")
        yield self._certificates, {name: left[name] for name in left if name not in TELLING}
        for measure, family in self._singles.items():
            yield from single(family, self._newest.value(measure))


class OperationMetrics:
    """The long work of all services: read with each reading of the measures."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._counts: Mapping[tuple[str, str, str], int] = {}
        self._family = gauge_by(
            "celeriac_operations", "Operations of the last 30 days, by state", "owner", "kind", "state"
        )

    async def follow(self, reading: Reading) -> None:
        """Reads the operations. While the database is away, those that were read last are told."""
        with suppress(TimeoutError, *DATABASE_ERRORS):
            async with asyncio.timeout(OPERATIONS_SECONDS), self._database.connection() as connection:
                self._counts = await operation_counts(connection)

    def told(self) -> Iterator[Told]:
        yield self._family, self._counts
