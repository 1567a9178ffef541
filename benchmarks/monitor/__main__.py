"""Taking events in: the relay and the monitor's intake, with all writing, beside Celery's own receiver.

    make bench AREA=monitor

Generator, broker, database and intake share the machine. Losses are counted exactly: tasks' events published
against those taken in, tasks published against rows that ended.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import asyncpg

from benchmarks import supervised
from benchmarks.report import Measure, quick, report
from benchmarks.servers import temporary_servers
from services.kernel.migrations import migrate

RATE = 20_000
# Seconds of each round; the first is the promise, all give medians.
ROUNDS = [10] if quick() else [60, 20, 20]
# 100,000 tasks in the table and as many that wait to be written, at about 1 kB each, 128 MB of messages not
# taken in yet, 64 MB of texts not written yet, 60 MB for the process itself.
MOST_MB = 450


@dataclass(frozen=True)
class Round:
    """One round: what was published, and what was taken in."""

    published: dict[str, Any]
    counted: dict[str, Any]
    rows: int = 0

    @property
    def lost(self) -> int:
        return int(self.published["events"] - self.counted["events"])

    @property
    def microseconds(self) -> float:
        """CPU of the processes that take in (relay and intake), an event taken in."""
        return float(self.counted["cpu"] / self.counted["events"] * 1e6)


def play(module: str, host: str, port: int, seconds: int, *arguments: str) -> Round:
    """Starts a taker, publishes at it, and asks what it counted."""
    command = [sys.executable, "-m", f"benchmarks.monitor.{module}", host, str(port), *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as taker:
        assert taker.stdin is not None and taker.stdout is not None
        assert taker.stdout.readline() == "ready\n"
        generator = [sys.executable, "-m", "benchmarks.monitor.generator", host, str(port)]
        published = subprocess.check_output([*generator, str(RATE), str(seconds)])
        taker.stdin.write("finish\n")
        taker.stdin.flush()
        return Round(json.loads(published), json.loads(taker.stdout.readline()))


def ours(seconds: int) -> Round:
    with temporary_servers() as servers:
        asyncio.run(migrate(servers.database_url, "monitor"))
        found = play("ours", servers.redis_host, servers.redis_port, seconds, servers.database_url)
        return Round(found.published, found.counted, asyncio.run(rows_that_ended(servers.database_url)))


def peer(seconds: int) -> Round:
    with temporary_servers() as servers:
        return play("peer", servers.redis_host, servers.redis_port, seconds)


async def rows_that_ended(database_url: str) -> int:
    connection = await asyncpg.connect(database_url)
    try:
        query = "SELECT count(*) FROM celery_task_results_ext WHERE state = 'SUCCESS' AND queue IS NOT NULL"
        return int(await connection.fetchval(query))
    finally:
        await connection.close()


def main() -> None:
    mine: list[Round] = []
    others: list[Round] = []
    for seconds in ROUNDS:
        for rounds, run in ((mine, ours), (others, peer)):
            found = run(seconds)
            rounds.append(found)
            print(run.__name__, found, flush=True)
    lost = sum(each.lost for each in mine)
    missing = sum(each.published["tasks"] - each.rows for each in mine)
    taken, kept = (
        sum(each.counted["events"] for each in rounds) / sum(each.published["events"] for each in rounds)
        for rounds in (mine, others)
    )
    cost, peers_cost = (statistics.median(each.microseconds for each in rounds) for rounds in (mine, others))
    rate = statistics.median(each.published["events"] / each.published["seconds"] for each in mine)
    peers_rate = statistics.median(each.counted["events"] / each.counted["seconds"] for each in others)
    peak = max(each.counted["peak_mb"] for each in mine)
    lag = max(each.counted["worst_lag"] for each in mine)
    others_lost, others_peak = (
        sum(each.lost for each in others),
        max(each.counted["peak_mb"] for each in others),
    )
    cheaper = peers_cost / cost
    report(
        [
            Measure("events_lost", lost, "events", others_lost, None, "0", lost == 0),
            Measure("events_kept", taken * 100, "%", kept * 100, taken / kept, "100 %", lost == 0),
            Measure("rows_missing", missing, "rows", None, None, "0", missing == 0),
            Measure("rate", rate, "events/s", peers_rate, rate / peers_rate, "20,000", rate > RATE * 0.97),
            Measure("cpu_an_event", cost, "µs", peers_cost, cheaper, "a third of the peer's", cheaper > 3),
            Measure("peak_memory", peak, "MB", others_peak, None, f"at most {MOST_MB}", peak <= MOST_MB),
            Measure("worst_lag", lag, "s", None, None, "under 10", lag < 10),
        ]
    )


if __name__ == "__main__":
    supervised.run(main)
