"""Commands that change the pools of workers and what they begin, and the sign of life.

They are those of celery/worker/control.py, but for `time_limit`: a worker answers that it has set the limits,
and goes on with those that it read at its start (celery #3174).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from services.monitor.workers.choosing import Choosing, Chosen, Refusal
from services.monitor.workers.control import Control, Reply
from services.monitor.workers.inspection import Stats

# Pools whose size can be changed while they run.
SIZED = frozenset({"prefork", "gevent", "eventlet"})
MOST_PROCESSES = 1_000
FIXED = "its pool {kind!r} has a fixed size; start it with --pool=prefork, or with another --concurrency"
SCALED = "it changes the size of its pool by itself (--autoscale); set its bounds with AutoscalePool"
RESTARTS_OFF = "its application has not set worker_pool_restarts = True; set it, and start the worker again"


class Pools:
    """Each method returns one reply for each worker, by name. All raise as `Choosing.able` does."""

    def __init__(self, control: Control, choosing: Choosing) -> None:
        self._control = control
        self._choosing = choosing

    async def ping(self, chosen: Chosen) -> Sequence[Reply]:
        able = self._choosing.named(chosen)
        able.refuse_if_none()
        return await self._choosing.tell(able, "ping", {})

    async def grow(self, chosen: Chosen, count: int) -> Sequence[Reply]:
        able = await self._choosing.able(chosen, _cannot_grow(count))
        return await self._choosing.tell(able, "pool_grow", {"n": count})

    async def shrink(self, chosen: Chosen, count: int) -> Sequence[Reply]:
        able = await self._choosing.able(chosen, _cannot_shrink(count))
        return await self._choosing.tell(able, "pool_shrink", {"n": count})

    async def autoscale(self, chosen: Chosen, most: int, least: int | None) -> Sequence[Reply]:
        """`least`: None leaves it as it is."""
        able = await self._choosing.able(chosen, _cannot_scale(most, least))
        return await self._choosing.tell(able, "autoscale", {"max": most, "min": least})

    async def limit_rate(self, chosen: Chosen, task_name: str, limit: str) -> Sequence[Reply]:
        """Limits how many tasks of the name begin. `limit`: as Celery writes it, "10/m"; "0" for none."""
        able = await self._choosing.able(chosen, must_answer=False)
        return await self._choosing.tell(able, "rate_limit", {"task_name": task_name, "rate_limit": limit})

    async def restart(self, chosen: Chosen) -> Sequence[Reply]:
        able = await self._choosing.able(chosen, _cannot_restart)
        settings = await self._control.ask("conf", workers=able.workers)
        for worker in list(able.workers):
            said = [each for each in settings.get(worker.hostname, ()) if isinstance(each, Mapping)]
            if not (said and all(each.get("worker_pool_restarts") is True for each in said)):
                able.leave_out(worker, RESTARTS_OFF)
        able.refuse_if_none()
        return await self._choosing.tell(able, "pool_restart", {})


def _cannot_resize(stats: Stats) -> str:
    pool = stats.pool
    if pool is None:
        return "it tells nothing of its pool"
    if pool.autoscale is not None:
        return SCALED
    return "" if pool.kind in SIZED else FIXED.format(kind=pool.kind)


def _cannot_grow(count: int) -> Refusal:
    def refusal(stats: Stats) -> str:
        why = _cannot_resize(stats)
        has = stats.pool.concurrency if stats.pool else 0
        if why or has + count <= MOST_PROCESSES:
            return why
        return f"it has {has} processes, and would have more than {MOST_PROCESSES}; grow it by less"

    return refusal


def _cannot_shrink(count: int) -> Refusal:
    def refusal(stats: Stats) -> str:
        why = _cannot_resize(stats)
        has = stats.pool.concurrency if stats.pool else 0
        if why or has > count:
            return why
        return f"it has {has} processes, and one has to stay; shrink it by less, or use ShutdownWorkers"

    return refusal


def _cannot_scale(most: int, least: int | None) -> Refusal:
    def refusal(stats: Stats) -> str:
        bounds = stats.pool.autoscale if stats.pool else None
        if bounds is None:
            return "it was started without --autoscale; start it with --autoscale=10,2, for example"
        if least is None and bounds.least > most:
            return (
                f"its min_concurrency is {bounds.least}, which is more than {most}; set min_concurrency, too"
            )
        return ""

    return refusal


def _cannot_restart(stats: Stats) -> str:
    kind = stats.pool.kind if stats.pool else ""
    if kind == "prefork":
        return ""
    return f"its pool {kind!r} can't be restarted; start the worker again, or use --pool=prefork"
