"""What the system is made of: steps that are done at each start, and components that run."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from deploy.standalone.probes import Probe


@dataclass(frozen=True)
class Step:
    """Something to be done before others may start: in a thread (`work`), or by a command that ends.

    It is skipped when `needed` returns False.
    """

    name: str
    after: tuple[str, ...] = ()
    work: Callable[[], None] | None = None
    command: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    needed: Callable[[], Awaitable[bool]] | None = None


@dataclass(frozen=True)
class Shared:
    """What our own processes have in common: what a nursery imports and calls for them, and variables."""

    imports: tuple[str, ...]
    environment: Mapping[str, str]


@dataclass(frozen=True)
class Component:
    """A process that is kept running."""

    name: str
    command: tuple[str, ...]
    probe: Probe
    # The components of a stage are stopped together; the stages one after another, the lowest first.
    stage: int
    # Steps done and components ready before it is started.
    after: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    # The signal that asks it to end, how many seconds that may take, and the signal when time is up.
    stop: signal.Signals = signal.SIGTERM
    stop_seconds: float = 30
    hurry: signal.Signals = signal.SIGTERM
    user: str | None = None
    # Whether it is one of our own processes, which tell where they stand (services/kernel/stacks.py).
    tells_stacks: bool = False
    # While this file exists, it is not started again after its end.
    held: Path | None = None

    @property
    def module(self) -> tuple[str, ...]:
        """The module that `python -m` is given, and its arguments; empty for another command."""
        python, *rest = self.command
        is_module = python == sys.executable and rest[:1] == ["-m"]
        return tuple(rest[1:]) if is_module else ()
