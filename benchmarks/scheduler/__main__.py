"""Dispatch beside django-celery-beat, on one PostgreSQL and one Valkey: make bench AREA=scheduler.

- drain: schedules that are all due at one moment, until each is on the queue and recorded;
- lateness: the 99th percentile at a steady rate, which no beat reaches (so there is no peer);
- idle: what a scheduler costs that has nothing to do;
- due times: how fast a crontab's next one is computed, beside Celery's crontab, which the beats use.

The peer is measured at two sizes: 1,000 entries, and 100, where it is at its best. Ours and the peer's runs
take turns; medians count.
"""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.report import Measure, quick, report
from benchmarks.scheduler import due_times, ours, peer, worker
from benchmarks.servers import temporary_servers

GOAL = 20.0
MOST_LATENESS = 0.05
MOST_IDLE = 1.0
LEAST_DUE_TIMES = 10_000


@dataclass(frozen=True)
class Sizes:
    drained: int
    repetitions: int
    peer: int
    peer_best: int
    steady_rate: int
    steady_seconds: float
    idle_seconds: float
    due_times: int


WHOLE = Sizes(100_000, 3, 1000, 100, 500, 20.0, 10.0, 50_000)
QUICK = Sizes(10_000, 1, 300, 100, 500, 5.0, 3.0, 10_000)


def main() -> None:
    sizes = QUICK if quick() else WHOLE
    with temporary_servers() as servers, ours.prepared(servers) as scheduler:
        drains, peers, peers_best = [], [], []
        for _ in range(sizes.repetitions):
            drains.append(asyncio.run(scheduler.drain(sizes.drained)))
            check(asyncio.run(scheduler.messages()), sizes.drained)
            worker.run_sample(servers, ours.QUEUE, ours.TASK)
            peers.append(peer.rate(servers, sizes.peer))
            peers_best.append(peer.rate(servers, sizes.peer_best))
        late = asyncio.run(scheduler.lateness(sizes.steady_rate, sizes.steady_seconds))
        share, memory = asyncio.run(scheduler.idle(sizes.drained, sizes.idle_seconds))
    report(
        [
            beside(f"drain of {sizes.drained:,}, peer with {sizes.peer:,}", drains, peers),
            beside(f"drain of {sizes.drained:,}, peer with {sizes.peer_best:,}", drains, peers_best),
            Measure(
                f"p99 lateness at {sizes.steady_rate} a second",
                late * 1000,
                "ms",
                goal=f"under {MOST_LATENESS * 1000:.0f} ms",
                met=late < MOST_LATENESS,
            ),
            Measure(
                "CPU when idle", share, "% of a core", goal=f"under {MOST_IDLE:.0f} %", met=share < MOST_IDLE
            ),
            Measure("memory when idle", memory, "MiB"),
            due(sizes.due_times),
        ]
    )


def beside(name: str, drains: list[float], peers: list[float]) -> Measure:
    value, other = statistics.median(drains), statistics.median(peers)
    ratio = value / other
    return Measure(name, value, "runs/s", other, ratio, f"{GOAL:.0f} times the peer", ratio >= GOAL)


def due(count: int) -> Measure:
    value, other = due_times.ours(count), due_times.celerys(count)
    goal = f"{LEAST_DUE_TIMES:,} on one core"
    return Measure("crontab due times", value, "/s", other, value / other, goal, value >= LEAST_DUE_TIMES)


def check(messages: list[Mapping[str, Any]], count: int) -> None:
    """Each run has its own message, and each message is one that Celery reads."""
    identities = {message["headers"]["id"] for message in messages}
    arguments = {message["body"] for message in messages}
    if not len(messages) == len(identities) == len(arguments) == count:
        raise AssertionError(f"{len(messages)} messages, {len(identities)} ids, for {count} schedules")


if __name__ == "__main__":
    main()
