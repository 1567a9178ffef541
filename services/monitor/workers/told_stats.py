"""Reads a worker's answer to `stats` (celery/worker/worker.py, Celery 5.4 to 5.7)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from services.monitor.tasks.tasks import MOST_NAME
from services.monitor.tasks.values import pid_in, seconds_in, shortened
from services.monitor.workers.inspection import Autoscale, CpuTimes, Pool, Stats

MOST_POOL = 100
MOST_PIDS = 1_000
MOST_COUNTED = 1_000


def stats_in(said: Any) -> Stats | None:
    """Returns None for what is not the answer of a worker."""
    if not isinstance(said, Mapping) or (pid := pid_in(said)) is None:
        return None
    return Stats(pid, _pool_in(said), seconds_in(said, "uptime"), _processed_in(said), _cpu_in(said))


def pool_kind_in(said: Mapping[str, Any]) -> str:
    """Returns "prefork" for {"pool": {"implementation": "celery.concurrency.prefork:TaskPool"}}."""
    pool = said.get("pool")
    implementation = pool.get("implementation") if isinstance(pool, Mapping) else None
    if not isinstance(implementation, str):
        return ""
    return implementation.partition(":")[0].rpartition(".")[2][:MOST_POOL]


def concurrency_in(said: Mapping[str, Any]) -> int:
    """Returns how many tasks the worker can run at once; 0 if it does not tell."""
    pool = _pool_in(said)
    return 0 if pool is None else pool.concurrency


def _pool_in(said: Mapping[str, Any]) -> Pool | None:
    pool = said.get("pool")
    if not isinstance(pool, Mapping):
        return None
    kind, told = pool_kind_in(said), pool.get("processes")
    # A pool of the kind solo names its only process, which is the worker itself.
    pids = _pids_in(told) if isinstance(told, list) and kind != "solo" else ()
    soft, hard = _limits_in(pool.get("timeouts"))
    return Pool(
        kind,
        # "max-concurrency" of a prefork pool is what it was started with, whatever it has grown to.
        len(pids) or _count_in(pool, "max-concurrency"),
        pids,
        _count_in(said, "prefetch_count"),
        _autoscale_in(said.get("autoscaler")),
        _count_in(pool, "max-tasks-per-child"),
        soft,
        hard,
    )


def _pids_in(told: list[Any]) -> tuple[int, ...]:
    return tuple(pid for pid in told[:MOST_PIDS] if type(pid) is int and 0 < pid < 2**63)


def _autoscale_in(said: Any) -> Autoscale | None:
    return Autoscale(_count_in(said, "max"), _count_in(said, "min")) if isinstance(said, Mapping) else None


def _limits_in(said: Any) -> tuple[float | None, float | None]:
    """Returns the soft and the hard limit of [soft, hard]; 0 is none."""
    limits = [each if isinstance(each, int | float) and 0 < each < 1e9 else None for each in _pair(said)]
    return limits[0], limits[1]


def _pair(said: Any) -> list[Any]:
    return said if isinstance(said, list) and len(said) == 2 else [None, None]


def _count_in(said: Mapping[str, Any], field: str) -> int:
    value = said.get(field)
    return value if type(value) is int and 0 <= value < 2**31 else 0


def _processed_in(said: Mapping[str, Any]) -> Mapping[str, int]:
    total = said.get("total")
    counts = [
        (shortened(name, MOST_NAME), count)
        for name, count in (total.items() if isinstance(total, Mapping) else ())
        if isinstance(name, str) and type(count) is int and 0 < count < 2**63
    ]
    return dict(sorted(counts, key=lambda counted: counted[1], reverse=True)[:MOST_COUNTED])


def _cpu_in(said: Mapping[str, Any]) -> CpuTimes | None:
    usage = said.get("rusage")
    if not isinstance(usage, Mapping):
        return None
    user, system = seconds_in(usage, "utime"), seconds_in(usage, "stime")
    return None if user is None or system is None else CpuTimes(user, system)
