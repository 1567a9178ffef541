"""Health checks of the components that are not gRPC services, and of the monitor itself."""

from __future__ import annotations

import time
from collections import deque
from typing import Any

import redis.asyncio

from services.kernel.database import Database
from services.monitor.figures import Figures
from services.monitor.system.components import Finding, Health, Look
from services.monitor.workers.workers import WorkerTable

# Events are degraded above this lag: the monitor has fallen behind, or the clocks of the machines differ.
MOST_LAG_SECONDS = 5.0
# Losses within this time make the component degraded.
LOSS_SECONDS = 60.0


def database_look(database: Database) -> Look:
    async def look() -> Finding:
        async with database.reading() as connection:
            version = await connection.fetchval("SELECT current_setting('server_version')")
        return Finding(Health.HEALTHY, f"PostgreSQL {version}")

    return look


def broker_look(client: redis.asyncio.Redis) -> Look:
    async def look() -> Finding:
        info: dict[str, Any] = await client.info("server", "memory")
        name = str(info.get("server_name", "redis")).capitalize()
        version = info.get("valkey_version") or info.get("redis_version")
        policy, limit = info.get("maxmemory_policy", "noeviction"), int(info.get("maxmemory", 0))
        detail = f"{name} {version}, {info.get('used_memory_human', '?')} used"
        if policy != "noeviction" and limit:
            fault = f"maxmemory-policy {policy} may drop messages and markers; set it to noeviction"
            return Finding(Health.DEGRADED, f"{detail}; {fault}")
        return Finding(Health.HEALTHY, detail)

    return look


def workers_look(workers: WorkerTable) -> Look:
    async def look() -> Finding:
        online = len(workers.online())
        if not online:
            return Finding(Health.DEGRADED, "none is online: nothing that waits is run", asked=False)
        return Finding(Health.HEALTHY, f"{online} online", asked=False)

    return look


def monitor_look(figures: Figures) -> Look:
    async def look() -> Finding:
        waiting = figures.tasks_waiting
        detail = f"{figures.rows_written} rows written, {waiting} tasks wait to be"
        return Finding(Health.HEALTHY, detail, asked=False)

    return look


class EventsLook:
    """Events are healthy if they are received, without much lag, and none was lost within the last minute."""

    def __init__(self, figures: Figures) -> None:
        self._figures = figures
        # (time.monotonic(), losses until then), oldest first.
        self._losses: deque[tuple[float, int]] = deque()

    async def __call__(self) -> Finding:
        figures, faults = self._figures, []
        if not figures.listening:
            faults.append("cut off from the broker's events")
        if figures.event_lag is not None and figures.event_lag > MOST_LAG_SECONDS:
            faults.append(f"{figures.event_lag:.1f} s behind")
        lost = self._recently_lost()
        if lost:
            faults.append(f"{lost} lost within the last minute")
        if faults:
            return Finding(Health.DEGRADED, "; ".join(faults), asked=False)
        return Finding(Health.HEALTHY, f"{figures.events_total} taken in", asked=False)

    def _recently_lost(self) -> int:
        now, lost = time.monotonic(), self._figures.events_lost + self._figures.tasks_dropped
        self._losses.append((now, lost))
        while now - self._losses[0][0] > LOSS_SECONDS:
            self._losses.popleft()
        return lost - self._losses[0][1]
