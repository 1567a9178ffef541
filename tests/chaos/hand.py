"""A seeded hand that hurts a cluster: what it does, and when, follows from the seed alone."""

from __future__ import annotations

import datetime as dt
import random
import signal
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

from tests.chaos.cluster import Cluster, wait_until

# How often each is done, and for how many seconds at the least and at the most.
Hurts = Mapping[str, tuple[int, float, float]]
HURTS: Hurts = {
    "kill": (6, 0.1, 3.0),
    # To beyond the two seconds after which PostgreSQL ends a transaction that does nothing.
    "freeze": (5, 0.3, 5.0),
    "postgres fast": (1, 0.0, 0.0),
    "postgres immediate": (1, 0.0, 0.0),
    "broker stopped": (1, 0.2, 3.0),
    "broker killed": (1, 0.2, 3.0),
    "broker cut": (2, 0.2, 3.0),
    "broker deaf": (3, 0.2, 3.0),
    "broker hangs": (1, 0.2, 3.0),
    "clock": (2, 0.5, 5.0),
    "monitor cut": (4, 0.5, 4.0),
    # To beyond the five seconds after which nobody waits for its answer.
    "monitor hangs": (2, 0.5, 7.0),
}


class Hurt(NamedTuple):
    """`at`: seconds from the beginning. `whom`: replicas. `clock_off`: seconds."""

    at: float
    what: str
    lasts: float
    whom: tuple[int, ...]
    clock_off: float


def planned(seed: int, seconds: float, known: Hurts = HURTS, replicas: int = 3) -> list[Hurt]:
    """Everything is well again when the seconds are over."""
    chance = random.Random(seed)
    weights = [often for often, _, _ in known.values()]
    hurts: list[Hurt] = []
    at = 3.0
    while True:
        at += chance.uniform(0.2, 1.8)
        what = chance.choices(list(known), weights)[0]
        lasts = chance.uniform(*known[what][1:])
        # Any two of three at most.
        whom = tuple(chance.sample(range(replicas), chance.randint(1, replicas - 1)))
        clock_off = chance.uniform(-45, 45)
        if at + lasts > seconds:
            return hurts
        hurts.append(Hurt(round(at, 3), what, round(lasts, 3), whom, round(clock_off, 3)))


class Hand:
    """Does what was planned, each thing in its time."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.done: list[str] = []
        self._began = time.monotonic()

    def hurt(self, hurts: list[Hurt]) -> None:
        self._began = time.monotonic()
        steps: list[tuple[float, int, str, Callable[[], None]]] = []
        for number, hurt in enumerate(hurts):
            begin, end = self._steps(hurt)
            told = f"{hurt.what} {hurt.whom if hurt.what in ('kill', 'freeze') else ''}".strip()
            steps.append((hurt.at, number, told, begin))
            if end is not None:
                steps.append((hurt.at + hurt.lasts, number, f"end of {told}", end))
        for at, _, told, step in sorted(steps, key=lambda each: each[:2]):
            wait_until(self._began + at)
            self.done.append(f"{time.monotonic() - self._began:7.3f} {told}")
            step()

    def _steps(self, hurt: Hurt) -> tuple[Callable[[], None], Callable[[], None] | None]:
        """What begins it and what ends it."""
        postgres, broker, proxy = self._cluster.postgres, self._cluster.broker, self._cluster.proxy
        to_monitor = self._cluster.to_monitor
        replicas = [self._cluster.replicas[number] for number in hurt.whom]
        off = dt.timedelta(seconds=hurt.clock_off)

        def each(do: str, *values: object) -> Callable[[], None]:
            def step() -> None:
                for replica in replicas:
                    getattr(replica, do)(*values)

            return step

        def broker_up() -> None:
            if broker.process is None:
                broker.start()

        return {
            "kill": (each("kill"), each("start")),
            "freeze": (each("signal", signal.SIGSTOP), each("signal", signal.SIGCONT)),
            "postgres fast": (lambda: postgres.restart(signal.SIGINT), None),
            "postgres immediate": (lambda: postgres.restart(signal.SIGQUIT), None),
            "broker stopped": (broker.stop, broker_up),
            "broker killed": (broker.kill, broker_up),
            "broker cut": (proxy.cut, proxy.heal),
            "broker deaf": (proxy.deafen, proxy.heal),
            "broker hangs": (proxy.hang, proxy.go_on),
            "clock": (lambda: postgres.set_clock(off), lambda: postgres.set_clock(dt.timedelta(0))),
            "monitor cut": (to_monitor.cut, to_monitor.heal),
            "monitor hangs": (to_monitor.hang, to_monitor.go_on),
        }[hurt.what]
