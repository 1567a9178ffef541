"""An event loop whose clock does not wait: it jumps to the next timer as soon as nothing else is to be done.

So tests of intervals take no time, and what they read from the clock is exact.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


class _Selector(selectors.DefaultSelector):
    """Moves the clock on by what it was to wait."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.now += timeout or 0.0
        return super().select(0)


class FastLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._clock = _Selector()
        super().__init__(self._clock)

    def time(self) -> float:
        return self._clock.now


def run_fast(work: Coroutine[Any, Any, Result]) -> Result:
    """Runs it to its end. It must not wait for threads or sockets: their time does not pass."""
    with asyncio.Runner(loop_factory=FastLoop) as runner:
        return runner.run(work)


def now() -> float:
    """Seconds on the clock of the running loop."""
    return asyncio.get_running_loop().time()
