"""What was measured, as the table's rows: medians, beside each peer's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import median

from benchmarks.report import Measure
from benchmarks.scheduler.edits import Edit
from benchmarks.scheduler.measuring import percentile
from benchmarks.scheduler.minute import FullMinutes
from benchmarks.scheduler.peers.beat import FullMinute

LEAST_RATE = 25_000
TIMES_A_PEER = 2.0
MOST_LATE_AT_MINUTE = 2.0
# Of 10^6 bytes: 100, less a margin of a tenth.
MOST_MB = 90.0
MOST_LATENESS = 0.05
MOST_EDIT = 0.1
MOST_IDLE = 1.0
LEAST_DUE_TIMES = 10_000


@dataclass
class Results:
    """Seconds, and MB of 10^6 bytes. Peers by name, or by name and number of entries."""

    drained: int
    at_minute: int
    window_seconds: float
    # By the number of replicas.
    drains: dict[int, list[float]] = field(default_factory=dict)
    # By the most replicas, with somebody who watches.
    watched_drains: list[float] = field(default_factory=list)
    # Seconds from the due time to the last message on the queue, by the number of entries that are due.
    queued: dict[int, list[float]] = field(default_factory=dict)
    # The same span of the peers: all entries due at a full minute.
    peers_queued: dict[tuple[str, int], FullMinute] = field(default_factory=dict)
    minutes: FullMinutes | None = None
    peers_minutes: dict[tuple[str, int], FullMinute] = field(default_factory=dict)
    steady_rate: int = 0
    steady_p99: float | None = None
    edits: list[Edit] = field(default_factory=list)
    peers_edits: dict[str, list[float]] = field(default_factory=dict)
    # Percent of a core, MB.
    idle: tuple[float, float] | None = None
    # A second: ours, Celery's.
    due_times: tuple[float, float] | None = None

    def measures(self) -> list[Measure]:
        """Of what was measured: what is missing has no row."""
        return [
            *self._drain(),
            *self._queued(),
            *self._full_minute(),
            *self._steady(),
            *self._edits(),
            *self._idle(),
            *self._due(),
        ]

    def remarks(self) -> Iterator[str]:
        """What a figure alone would hide."""
        for measure, peers in (("full minute", self.peers_minutes), ("all due", self.peers_queued)):
            for (name, count), found in peers.items():
                if found.sent < len(found.lateness):
                    yield (
                        f"{measure}: {name} with {count:,} entries sent {found.sent} of {len(found.lateness)}"
                        f" within {self.window_seconds:.0f} s; the others count as that late"
                    )

    def _drain(self) -> Iterator[Measure]:
        for replicas, found in self.drains.items():
            by = "one replica" if replicas == 1 else f"{replicas} replicas"
            rate, goal = median(found), f"{LEAST_RATE:,}"
            name = f"drain of {self.drained:,}, {by}"
            yield Measure(name, rate, "runs/s", goal=goal, met=rate >= LEAST_RATE)
        if self.watched_drains:
            rate = median(self.watched_drains)
            yield Measure(f"drain of {self.drained:,}, one who watches", rate, "runs/s")

    def _queued(self) -> Iterator[Measure]:
        """At equal size, over the same span; without a ratio beside a peer who sent nothing."""
        goal = f"{TIMES_A_PEER:.0f} times the peer"
        for count, seconds in self.queued.items():
            rate = count / median(seconds)
            yield Measure(f"{count:,} due, to the last message", rate, "runs/s")
            for (name, others), found in self.peers_queued.items():
                if others == count:
                    times = rate / found.rate if found.sent else None
                    met = times is None or times >= TIMES_A_PEER
                    yield Measure(f"{count:,} due, {name}", rate, "runs/s", found.rate, times, goal, met)

    def _full_minute(self) -> Iterator[Measure]:
        if self.minutes is None:
            return
        middle, p99 = median(self.minutes.median) * 1000, median(self.minutes.p99) * 1000
        yield Measure(f"full minute, 1 % of {self.at_minute:,} due, p50", middle, "ms")
        yield _under("full minute, p99", p99, "ms", MOST_LATE_AT_MINUTE * 1000)
        for (name, count), found in self.peers_minutes.items():
            peer = percentile(found.lateness, 0.99) * 1000
            yield Measure(f"full minute, p99, {name} with {count:,}", p99, "ms", peer, peer / p99)
        yield _under("full minute, most memory", self.minutes.peak_mb, "MB", MOST_MB)
        yield _under("full minute, memory after it", self.minutes.after_mb, "MB", MOST_MB)

    def _steady(self) -> Iterator[Measure]:
        if self.steady_p99 is None:
            return
        name = f"p99 lateness at {self.steady_rate} a second"
        yield _under(name, self.steady_p99 * 1000, "ms", MOST_LATENESS * 1000)

    def _edits(self) -> Iterator[Measure]:
        if not self.edits:
            return
        late = [edit.late * 1000 for edit in self.edits]
        yield Measure(f"edit among {self.drained:,}, due time to message, p50", median(late), "ms")
        yield _under("edit, due time to message, p99", percentile(late, 0.99), "ms", MOST_EDIT * 1000)
        calls = [edit.from_call * 1000 for edit in self.edits if edit.from_call is not None]
        yield Measure("edit to due at once, call to message, p50", median(calls), "ms")
        yield _under("edit to due at once, p99", percentile(calls, 0.99), "ms", MOST_EDIT * 1000)
        for name, seconds in self.peers_edits.items():
            peer = median(seconds) * 1000
            yield Measure(
                f"edit to due at once, p50, {name}", median(calls), "ms", peer, peer / median(calls)
            )

    def _idle(self) -> Iterator[Measure]:
        if self.idle is None:
            return
        share, memory = self.idle
        yield _under("idle, CPU", share, "% of a core", MOST_IDLE)
        yield Measure(f"idle, memory with {self.drained:,}", memory, "MB")
        for (name, count), found in self.peers_minutes.items():
            other = found.memory_mb
            yield Measure(f"idle, memory, {name} with {count:,}", memory, "MB", other, other / memory)

    def _due(self) -> Iterator[Measure]:
        if self.due_times is None:
            return
        value, other = self.due_times
        goal = f"{LEAST_DUE_TIMES:,} on one core"
        met = value >= LEAST_DUE_TIMES
        yield Measure("crontab due times", value, "/s", other, value / other, goal, met)


def _under(name: str, value: float, unit: str, most: float) -> Measure:
    return Measure(name, value, unit, goal=f"under {most:,.0f}", met=value < most)
