"""Health checks of the components that are not gRPC services, and of the monitor itself."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import redis.asyncio

from services.kernel.database import Database
from services.kernel.loops import LATE_SECONDS, Heartbeat
from services.kernel.outages import DATABASE_ERRORS, DISK_FULL
from services.monitor.figures import Figures
from services.monitor.system.components import MOST_DETAIL, Finding, Health, Look
from services.monitor.workers.workers import WorkerTable

# Events are degraded above this lag: the monitor has fallen behind, or the clocks of the machines differ.
MOST_LAG_SECONDS = 5.0
# Losses within this time make the component degraded.
LOSS_SECONDS = 60.0
# A sort of 2 MB in 64 kB of memory: the server writes it to its disk and removes it. Nothing is stored.
SPILLS = "SELECT count(*) FROM (SELECT repeat('x', 200) || n FROM generate_series(1, 10000) n ORDER BY 1) s"
DISK_LOOK_SECONDS = 30.0
NOTE_SECONDS = 1.0
MOST_EVENTS_DETAIL = 1_000
STOPPED_MEANS = "no events of tasks are taken in; POST /celery-admin/monitoring/start starts it again"
# Loops that need another service: that they are late is a fault of that service, or of the way to it, and
# what their own service is there for goes on. The scheduler's `outcomes` and `losses` ask the monitor.
# `gap_repair` asks workers and the result backend.
OF_OTHERS = {"audit_outbox", "config", "gap_repair", "losses", "outcomes"}


class DatabaseLook:
    """The database is healthy if it answers and has room on its disk (tried every DISK_LOOK_SECONDS)."""

    def __init__(self, database: Database) -> None:
        self._database = database
        # When the disk is tried next, by time.monotonic(); and what was found last.
        self._tried_next = 0.0
        self._full = False

    async def __call__(self) -> Finding:
        async with self._database.reading() as connection:
            version = await connection.fetchval("SELECT current_setting('server_version')")
        if time.monotonic() >= self._tried_next:
            self._full = await self._finds_no_room()
            self._tried_next = time.monotonic() + DISK_LOOK_SECONDS
        if self._full:
            return Finding(
                Health.UNHEALTHY, f"PostgreSQL {version}: its disk is full, nothing can be written"
            )
        return Finding(Health.HEALTHY, f"PostgreSQL {version}")

    async def _finds_no_room(self) -> bool:
        async with self._database.connection() as connection:
            try:
                async with connection.transaction(readonly=True):
                    await connection.execute("SET LOCAL work_mem = '64kB'")
                    await connection.fetchval(SPILLS)
            except DISK_FULL:
                return True
        return False


def broker_look(
    client: redis.asyncio.Redis, told: Callable[[Mapping[str, Any]], Awaitable[None]] | None = None
) -> Look:
    """`told` gets what the broker tells of itself; it may need the database."""

    async def look() -> Finding:
        info: dict[str, Any] = await client.info("server", "memory", "persistence")
        if told is not None:
            # A database that hangs is no fault of the broker.
            with suppress(TimeoutError, *DATABASE_ERRORS):
                async with asyncio.timeout(NOTE_SECONDS):
                    await told(info)
        name = str(info.get("server_name", "redis")).capitalize()
        version = info.get("valkey_version") or info.get("redis_version")
        detail = f"{name} {version}, {info.get('used_memory_human', '?')} used"
        if (policy := policy_that_drops(info)) is not None:
            fault = f"maxmemory-policy {policy} may drop messages and markers; set it to noeviction"
            return Finding(Health.DEGRADED, f"{detail}; {fault}")
        return Finding(Health.HEALTHY, detail)

    return look


def policy_that_drops(info: Mapping[str, Any]) -> str | None:
    """Returns the eviction policy, if it may drop tasks; None if it can't. `info`: of the section memory."""
    policy, limit = str(info.get("maxmemory_policy", "noeviction")), int(info.get("maxmemory", 0))
    return policy if policy != "noeviction" and limit else None


def workers_look(workers: WorkerTable, halted: Callable[[], str] = lambda: "") -> Look:
    """`halted` says who has stopped new tasks, empty if nobody has."""

    async def look() -> Finding:
        online = len(workers.online())
        silent = len(workers.there()) - online
        also = f", {silent} silent" if silent else ""
        if stopped := halted():
            # Somebody wanted it, so that it is no fault.
            return Finding(Health.HEALTHY, f"{online} online{also}; {stopped}", asked=False)
        if online:
            return Finding(Health.HEALTHY, f"{online} online{also}", asked=False)
        if silent:
            detail = f"none is online{also}: dead, cut off, or too busy to say a word"
            return Finding(Health.DEGRADED, detail, asked=False)
        return Finding(Health.DEGRADED, "none is online: nothing that waits is run", asked=False)

    return look


def monitor_look(
    figures: Figures, heartbeats: Sequence[Heartbeat], remark: Callable[[], str] = lambda: ""
) -> Look:
    """`remark`: what else there is to be said; empty if nothing."""

    async def look() -> Finding:
        if late := late_loops([heartbeat.name for heartbeat in heartbeats if heartbeat.late]):
            return late
        waiting = figures.tasks_waiting
        detail = f"{figures.rows_written} rows written, {waiting} waiting"
        if said := remark():
            detail += f"; {said}"
        return Finding(Health.HEALTHY, detail, asked=False)

    return look


def late_loops(late: Sequence[str]) -> Finding | None:
    """Returns what late background loops mean for their process; None if there are none."""
    if not late:
        return None
    health = Health.DEGRADED if set(late) <= OF_OTHERS else Health.UNHEALTHY
    detail = f"serving, but without success for more than {LATE_SECONDS:.0f} s: {', '.join(late)}"
    return Finding(health, detail[:MOST_DETAIL])


class EventsLook:
    """Events are healthy if they are received, without much lag, and what was missed has been found out.

    `open_gaps` tells of gaps that are not repaired yet, empty if there are none; `told_losses`, how many of
    the losses in the figures are in recorded gaps. Any other loss is told for a minute. `stopped` says who
    has stopped collection, empty if nobody has.
    """

    def __init__(
        self,
        figures: Figures,
        open_gaps: Callable[[], str] = lambda: "",
        told_losses: Callable[[], int] = lambda: 0,
        stopped: Callable[[], str] = lambda: "",
    ) -> None:
        self._figures = figures
        self._open_gaps = open_gaps
        self._told_losses = told_losses
        self._stopped = stopped
        # (time.monotonic(), losses until then), oldest first.
        self._losses: deque[tuple[float, int]] = deque()

    async def __call__(self) -> Finding:
        figures, faults = self._figures, []
        if not figures.listening:
            faults.append("cut off from the broker's events")
        if figures.event_lag is not None and figures.event_lag > MOST_LAG_SECONDS:
            faults.append(f"{figures.event_lag:.1f} s behind")
        lost = self._recently_lost()
        if gaps := self._open_gaps():
            faults.append(gaps)
        if lost > 0:
            faults.append(f"{lost} lost within the last minute")
        if stopped := self._stopped():
            # Somebody wanted it, so that it is no fault; what else is wrong can be told when it goes on.
            return Finding(Health.HEALTHY, f"{stopped}: {STOPPED_MEANS}", asked=False)
        if faults:
            return Finding(Health.DEGRADED, "; ".join(faults)[:MOST_EVENTS_DETAIL], asked=False)
        return Finding(Health.HEALTHY, f"{figures.events_total} taken in", asked=False)

    def _recently_lost(self) -> int:
        figures = self._figures
        now, lost = time.monotonic(), figures.events_lost + figures.tasks_dropped + figures.messages_missing
        lost -= self._told_losses()
        self._losses.append((now, lost))
        while now - self._losses[0][0] > LOSS_SECONDS:
            self._losses.popleft()
        return lost - self._losses[0][1]
