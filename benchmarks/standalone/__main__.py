"""The idle one-machine system and its start, beside Flower, celery beat and a worker.

    make bench AREA=standalone

Both run side by side, and are measured in the same stretches of time.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import supervised
from benchmarks.processes import Usage, memory, used
from benchmarks.report import Measure, quick, report
from benchmarks.standalone.ours import SUPERVISOR, Running, up
from benchmarks.standalone.peers import peers
from benchmarks.users import environment_of_users
from services import SERVICES

ROUNDS = 1 if quick() else 3
# What a start leaves to be done is done by then: pools of workers, first looks of all loops.
SETTLE_SECONDS = 10.0 if quick() else 60.0
IDLE_SECONDS = 10.0 if quick() else 60.0
OF_PEERS = ("flower", "beat")
SERVICES_GOAL, SCHEDULER_GOAL, BESIDE_GOAL, START_GOAL = 2.5, 1.0, 0.5, 9.0


@dataclass(frozen=True)
class Round:
    """One start, and what each component then used while nobody asked for anything."""

    start: Running
    idle: Mapping[str, Usage]
    memory: float

    def cpu(self, *names: str) -> float:
        """Percent of a core that these components took together; all of them, if none is named."""
        return sum(self.idle[name].cpu for name in names or self.idle) / IDLE_SECONDS * 100

    def wakeups(self, *names: str) -> float:
        """How often a second the threads of these components were woken."""
        return sum(self.idle[name].wakeups for name in names or self.idle) / IDLE_SECONDS


def rounds(python: Path, state: Path) -> tuple[list[Round], list[Round]]:
    mine: list[Round] = []
    others: list[Round] = []
    for _ in range(ROUNDS):
        with up(python, state) as ours, peers() as theirs:
            time.sleep(SETTLE_SECONDS)
            before = [used(each.components) for each in (ours, theirs)]
            time.sleep(IDLE_SECONDS)
            after = [used(each.components) for each in (ours, theirs)]
            sizes = [memory(ours.components[SUPERVISOR]), sum(map(memory, theirs.components.values()))]
        for found, start, one, two, size in zip(
            (mine, others), (ours, theirs), before, after, sizes, strict=True
        ):
            found.append(Round(start, {name: two[name] - one[name] for name in one}, size))
            _show(found[-1])
    return mine, others


def _show(found: Round) -> None:
    for name in sorted(found.idle, key=found.cpu, reverse=True):
        print(f"{name:<20} {found.cpu(name):6.2f} % of a core {found.wakeups(name):7.1f} wake-ups/s")
    said = f"start {found.start.cpu:.1f} s of CPU in {found.start.seconds:.1f} s"
    print(f"all {found.cpu():.2f} % of a core, {found.memory:.0f} MB; {said}\n", flush=True)


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="celeriac-idle-") as folder:
        python, state = environment_of_users(Path(folder)), Path(folder) / "state"
        with up(python, state) as first:
            print(f"first start: {first.cpu:.1f} s of CPU in {first.seconds:.1f} s\n", flush=True)
        mine, others = rounds(python, state)

    def idle(name: str, ours: Sequence[str], theirs: Sequence[str], goal: float | None = None) -> Measure:
        values = [each.cpu(*ours) for each in mine]
        return _measure(name, values, [each.cpu(*theirs) for each in others], "% of a core", goal)

    woken = [each.wakeups(*SERVICES) for each in mine], [each.wakeups(*OF_PEERS) for each in others]
    starts = [each.start.cpu for each in mine], [each.start.cpu for each in others]
    sizes = [each.memory for each in mine], [each.memory for each in others]
    report(
        [
            idle("idle_services", SERVICES, OF_PEERS, SERVICES_GOAL),
            _measure("wakeups_services", *woken, "a second"),
            idle("idle_scheduler", ["scheduler"], ["beat"], SCHEDULER_GOAL),
            idle("idle_monitor", ["monitor"], ["flower"]),
            idle("idle_embedder", ["embedder"], OF_PEERS),
            idle("idle_audit", ["audit"], OF_PEERS),
            idle("idle_relay", ["relay"], OF_PEERS, BESIDE_GOAL),
            idle("idle_door", ["door"], OF_PEERS, BESIDE_GOAL),
            idle("idle_worker", ["worker-maintenance"], ["worker"]),
            idle("idle_valkey", ["valkey"], ["valkey"]),
            idle("idle_all", [], []),
            _measure("start", *starts, "s of CPU", START_GOAL),
            _measure("memory", *sizes, "MB"),
        ]
    )


def _measure(
    name: str, ours: Sequence[float], theirs: Sequence[float], unit: str, goal: float | None = None
) -> Measure:
    value, peer = statistics.median(ours), statistics.median(theirs)
    said = "" if goal is None else f"at most {goal:g}"
    return Measure(name, value, unit, peer, peer / value, said, goal is None or value <= goal)


if __name__ == "__main__":
    supervised.run(main)
