"""Dispatch beside the beats that people run, on one PostgreSQL and one Valkey: make bench AREA=scheduler.

The peers are the real `celery beat`: as it comes (entries in a module, PersistentScheduler), with
django-celery-beat, and with celery-redbeat, each set up for its best (peers/).

- drain: schedules that are all due at one moment, until each is on the queue and recorded, by one replica and
  by two;
- all due: as many schedules as the peers have, until the last message is on the queue;
- full minute: a million crontabs, 1 % of them due at one full minute; how late their messages are, and the
  memory that the scheduler's process has resident;
- lateness: the 99th percentile at a steady rate; the beats are not measured at it;
- edit: from a change by UpdateSchedule, and from the due time that it sets, to the message;
- idle: what a scheduler costs that has nothing to do;
- due times: how fast a crontab's next one is computed, beside Celery's crontab, which the beats use.

Ours and theirs are compared at equal size: 100, 1,000 and 10,000 entries, all due, from the due time to the
last message on the queue. Our drain of 100,000 has no peer: with as many entries celery beat sends 2 to 4
messages a second and django-celery-beat 7, so that a run takes hours. So is the full minute at a million: the
peers have 1,000 and 10,000 entries there. Ours and theirs take turns; medians count.

What a busy machine is too slow for is left out, and named above the table. The whole takes half an hour, two
thirds of it waiting for full minutes; QUICK=1 takes some six minutes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks import supervised
from benchmarks.parts import Parts
from benchmarks.report import quick, report
from benchmarks.scheduler import due_times, ours, rows, worker
from benchmarks.scheduler.edits import edits
from benchmarks.scheduler.measuring import TooSlow
from benchmarks.scheduler.minute import full_minutes
from benchmarks.scheduler.peers.beat import DJANGO, PEERS, REDBEAT
from benchmarks.scheduler.results import Results
from benchmarks.servers import Servers, temporary_servers

# All are active: two share the work of a drain, on as many cores.
REPLICAS = (1, 2)


@dataclass(frozen=True)
class Sizes:
    drained: int
    # Ours and the peers', all due.
    queued: tuple[int, ...]
    # Crontabs, of which one in a hundred is due at a full minute; ours at several in a row.
    at_minute: int
    minutes: int
    # Of the peers, each one's in turn.
    peers_at_minute: tuple[int, ...]
    window_seconds: float
    steady_rate: int
    steady_seconds: float
    idle_seconds: float
    edits: int
    peers_edits: int
    # That the peers have beside those that are edited.
    peers_others: int
    due_times: int


WHOLE = Sizes(
    drained=100_000,
    queued=(100, 1000, 10_000),
    at_minute=1_000_000,
    minutes=3,
    peers_at_minute=(1000, 10_000),
    window_seconds=30.0,
    steady_rate=500,
    steady_seconds=20.0,
    idle_seconds=30.0,
    edits=50,
    peers_edits=5,
    peers_others=1000,
    due_times=50_000,
)
QUICK = Sizes(
    drained=10_000,
    queued=(100,),
    at_minute=20_000,
    minutes=1,
    peers_at_minute=(1000,),
    window_seconds=10.0,
    steady_rate=500,
    steady_seconds=5.0,
    idle_seconds=10.0,
    edits=10,
    peers_edits=2,
    peers_others=100,
    due_times=10_000,
)


def main() -> None:
    sizes = QUICK if quick() else WHOLE
    results, parts = (
        Results(sizes.drained, sizes.at_minute, sizes.window_seconds),
        Parts((TimeoutError, TooSlow)),
    )
    try:
        with temporary_servers() as servers, ours.prepared(servers) as scheduler:
            in_turns(servers, scheduler, sizes, results, parts)
            at_equal_size(servers, scheduler, sizes, results, parts)
            alone(scheduler, sizes, results, parts)
            for peer in (DJANGO, REDBEAT):
                with parts.part(f"edits, {peer.name}"):
                    results.peers_edits[peer.name] = peer.edits(
                        servers, sizes.peers_edits, sizes.peers_others
                    )
        results.due_times = due_times.ours(sizes.due_times), due_times.celerys(sizes.due_times)
    finally:
        # Also when something was wrong, which ends the benchmark with an error.
        for remark in (*results.remarks(), *parts.missing):
            print(remark)
        report(results.measures())


def in_turns(
    servers: Servers, scheduler: ours.Scheduler, sizes: Sizes, results: Results, parts: Parts
) -> None:
    """Drains, and the peers' full minutes."""
    for waiting in PEERS:
        with parts.part("a drain"):
            for replicas in REPLICAS:
                rate = asyncio.run(scheduler.drain(sizes.drained, replicas))
                results.drains.setdefault(replicas, []).append(rate)
                check(asyncio.run(scheduler.messages()), sizes.drained)
        with parts.part("a drain with one who watches, and a worker's sample of it"):
            results.watched_drains.append(asyncio.run(scheduler.watched_drain(sizes.drained, REPLICAS[-1])))
            worker.run_sample(servers, rows.QUEUE, rows.TASK)
        for count in sizes.peers_at_minute:
            with parts.part(f"full minute, {waiting.name} with {count:,}"):
                found = waiting.full_minute(servers, count, count // 100, sizes.window_seconds)
                results.peers_minutes[waiting.name, count] = found


def at_equal_size(
    servers: Servers, scheduler: ours.Scheduler, sizes: Sizes, results: Results, parts: Parts
) -> None:
    """As many entries of ours and of each peer, all due: ours before each peer's."""
    for count in sizes.queued:
        for peer in PEERS:
            with parts.part(f"{count:,} due"):
                seconds = asyncio.run(scheduler.queued(count))
                results.queued.setdefault(count, []).append(seconds)
            with parts.part(f"{count:,} due, {peer.name}"):
                found = peer.full_minute(servers, count, count, sizes.window_seconds)
                results.peers_queued[peer.name, count] = found


def alone(scheduler: ours.Scheduler, sizes: Sizes, results: Results, parts: Parts) -> None:
    """What is measured of ours only: a full minute of so many, a steady rate, rest and edits."""
    with parts.part("full minute"):
        due = sizes.at_minute // 100
        results.minutes = asyncio.run(full_minutes(scheduler, sizes.at_minute, due, sizes.minutes))
    with parts.part("lateness at a steady rate"):
        results.steady_rate = sizes.steady_rate
        results.steady_p99 = asyncio.run(scheduler.lateness(sizes.steady_rate, sizes.steady_seconds))
    with parts.part("idle, and edits"):
        asyncio.run(at_rest(scheduler, sizes, results))


async def at_rest(scheduler: ours.Scheduler, sizes: Sizes, results: Results) -> None:
    """As many schedules as are drained, none of them due: idle, then with edits."""
    with scheduler.process() as (process, pid):
        await scheduler.insert_resting(sizes.drained)
        results.idle = await scheduler.idle(pid, sizes.idle_seconds)
        results.edits = await edits(scheduler, process, sizes.edits)


def check(messages: list[Mapping[str, Any]], count: int) -> None:
    """Each run has its own message, and each message is one that Celery reads."""
    identities = {message["headers"]["id"] for message in messages}
    arguments = {message["body"] for message in messages}
    if not len(messages) == len(identities) == len(arguments) == count:
        raise AssertionError(f"{len(messages)} messages, {len(identities)} ids, for {count} schedules")


if __name__ == "__main__":
    supervised.run(main)
