"""Taking events in: relay and monitor beside Flower and celery-exporter, each a whole system, in turns.

    make bench AREA=monitor

Generator, broker, database and takers share the machine. Ours writes every task to PostgreSQL, and serves
ten readers; Flower and the exporter only count and remember. All are scraped each 5 s. Losses are counted
exactly, of tasks' events: published against taken in, and of tasks: published against rows that ended.
"""

from __future__ import annotations

import json
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from benchmarks import supervised
from benchmarks.monitor.takers import EXPORTER, Taker, exporter, exporter_folder, flower, ours
from benchmarks.monitor.watching import scrape, scraping
from benchmarks.report import Measure, quick, report

RATE = 40_000
# Seconds of each round; the first is the promise, all give medians.
ROUNDS = [8] if quick() else [60, 20, 20]
# The rate of the rounds in which the reader is away for AWAY_SECONDS.
RATE_AWAY, AWAY_SECONDS = 10_000, 5 if quick() else 30
QUIET_SECONDS = 2.0
DRAIN_SECONDS = 180.0
MOST_MB, MOST_MICROSECONDS = 150, 12
# Figures of Flower and the exporter, which lose most of what is published, are of what they took in.
ENDED = ("SUCCESS", "FAILURE")


@dataclass(frozen=True)
class Round:
    """One round: what was published and taken in, and what that took."""

    events: int
    tasks: int
    seconds: float
    taken_in: int
    cpu: dict[str, float]
    peaks: dict[str, float]
    own: frozenset[str]
    lag_p99: float = 0.0
    rows: dict[str, int] = field(default_factory=dict)

    @property
    def lost(self) -> int:
        return self.events - self.taken_in

    @property
    def missing(self) -> int:
        """Tasks whose end is not stored."""
        return self.tasks - sum(self.rows.get(state, 0) for state in ENDED)

    def microseconds(self, *names: str) -> float:
        """CPU of these processes for each event taken in; without names, of those that take in."""
        return sum(self.cpu[name] for name in names or self.own) / max(1, self.taken_in) * 1e6

    @property
    def peak(self) -> float:
        return sum(self.peaks.values())


def play(
    taking: Callable[[], AbstractContextManager[Taker]],
    rate: int,
    seconds: float,
    disturb: Callable[[Taker], None] | None = None,
) -> Round:
    """Publishes at a taker; `disturb` does something to it meanwhile."""
    with taking() as taker, scraping(taker.metrics_url):
        before, at = taker.cpu(), (taker.broker.host, str(taker.broker.port))
        generator = [sys.executable, "-m", "benchmarks.monitor.generator", *at, str(rate), str(seconds)]
        with subprocess.Popen(generator, stdout=subprocess.PIPE, text=True) as publishing:
            assert publishing.stdout is not None
            assert publishing.stdout.readline() == "publishing\n"
            taker.lags.looking = True
            if disturb is not None:
                disturb(taker)
            assert publishing.stdout.readline() == "published\n"
            taker.lags.looking = False
            published = json.loads(publishing.stdout.readline())
        taken_in = _when_quiet(taker)
        found = Round(
            published["events"],
            published["tasks"],
            published["seconds"],
            taken_in,
            {name: used - before.get(name, 0.0) for name, used in taker.cpu().items()},
            taker.peaks(),
            frozenset(taker.processes),
            taker.lags.p99(),
            taker.rows() if taker.database_url else {},
        )
    print(taking.__name__, disturb.__name__ if disturb else "", found, flush=True)
    return found


def stopped(taker: Taker) -> None:
    """The reader stands still for a while."""
    time.sleep(2.0)
    reader = taker.processes["monitor"]
    reader.send_signal(signal.SIGSTOP)
    time.sleep(AWAY_SECONDS)
    reader.send_signal(signal.SIGCONT)


def killed(taker: Taker) -> None:
    """The reader is killed, and started again after a while."""
    time.sleep(2.0)
    taker.processes["monitor"].kill()
    taker.processes["monitor"].wait()
    time.sleep(AWAY_SECONDS)
    taker.restart()


def _when_quiet(taker: Taker) -> int:
    """Waits until nothing more is taken in, and nothing waits to be written; returns how much was."""
    deadline, before = time.monotonic() + DRAIN_SECONDS, -1
    while time.monotonic() < deadline:
        time.sleep(QUIET_SECONDS)
        now = taker.taken_in()
        waiting = scrape(taker.metrics_url).get("celeriac_monitor_tasks_waiting", 0)
        if now and now == before and not waiting:
            break
        before = now
    return before


def main() -> None:
    takers: dict[str, Callable[[], AbstractContextManager[Taker]]] = {"ours": ours, "flower": flower}
    if exporter_folder() is None:
        print(f"celery-exporter is left out: {EXPORTER} names no folder with a checkout of it and its .venv")
    else:
        takers["exporter"] = exporter
    rounds: dict[str, list[Round]] = {name: [] for name in takers}
    for seconds in ROUNDS:
        for name, taking in takers.items():
            rounds[name].append(play(taking, RATE, seconds))
    away = [play(ours, RATE_AWAY, AWAY_SECONDS + 10, disturb) for disturb in (stopped, killed)]
    report([*_of_ours(rounds["ours"], away), *_beside(rounds)])


def _of_ours(mine: list[Round], away: list[Round]) -> list[Measure]:
    lost, missing = sum(each.lost for each in mine), sum(each.missing for each in mine)
    rate = statistics.median(each.events / each.seconds for each in mine)
    cost = statistics.median(each.microseconds() for each in mine)
    peak, lag = max(each.peak for each in mine), max(each.lag_p99 for each in mine)
    return [
        Measure("events_lost", lost, "events", goal="0", met=lost == 0),
        Measure("rows_missing", missing, "tasks", goal="0", met=missing == 0),
        Measure("rate", rate, "events/s", goal=f"{RATE:,}", met=rate > RATE * 0.97),
        Measure("cpu_an_event", cost, "µs", goal=f"{MOST_MICROSECONDS}", met=cost <= MOST_MICROSECONDS),
        *(
            Measure(f"cpu_an_event_{name}", statistics.median(each.microseconds(name) for each in mine), "µs")
            for name in ("relay", "monitor", "valkey", "postgres")
        ),
        Measure("peak_memory", peak, "MB", goal=f"{MOST_MB}", met=peak <= MOST_MB),
        Measure("lag_p99", lag, "s", goal="under 1", met=lag < 1),
        *(
            Measure(f"tasks_missing_{how}", each.missing, "tasks", goal="0", met=each.missing == 0)
            for how, each in zip(("reader_stopped", "reader_killed"), away, strict=True)
        ),
    ]


def _kept(rounds: list[Round]) -> float:
    return sum(each.taken_in for each in rounds) / sum(each.events for each in rounds)


def _beside(rounds: dict[str, list[Round]]) -> list[Measure]:
    mine = rounds["ours"]
    found = []
    for name, theirs in rounds.items():
        if name == "ours":
            continue
        kept, others = (_kept(each) for each in (mine, theirs))
        cost, price = (statistics.median(r.microseconds() for r in each) for each in (mine, theirs))
        # What we promise is about Flower.
        goal, met = ("a tenth", price / cost >= 10) if name == "flower" else ("", True)
        peak, peaks = (max(r.peak for r in each) for each in (mine, theirs))
        found += [
            Measure(f"events_kept_beside_{name}", kept * 100, "%", others * 100, kept / others),
            Measure(f"cpu_an_event_beside_{name}", cost, "µs", price, price / cost, goal, met),
            Measure(f"peak_memory_beside_{name}", peak, "MB", peaks, peaks / peak),
        ]
    return found


if __name__ == "__main__":
    supervised.run(main)
