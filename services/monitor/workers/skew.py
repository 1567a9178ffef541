"""How far a worker's clock is from the monitor's.

An event has the time at which the worker made it, by the worker's clock. It arrives some time later, which
is never negative: so the smallest difference between arrival and making is the nearest to the difference of
the clocks. The smallest one is looked for among the events of the last one to two minutes, because clocks
drift and are set.
"""

from __future__ import annotations

WINDOW_SECONDS = 60.0


class Skew:
    """The smallest difference between arrival and making, of two windows of `WINDOW_SECONDS`."""

    __slots__ = ("_before", "_least", "_since")

    def __init__(self) -> None:
        self._since = float("-inf")
        self._least: int | None = None
        self._before: int | None = None

    def hear(self, made: int, arrived: int, now: float) -> None:
        """Takes in an event. `made` and `arrived`: microseconds since 1970; `now`: of a monotonic clock."""
        late = arrived - made
        if self._least is not None and now - self._since <= WINDOW_SECONDS:
            if late < self._least:
                self._least = late
        else:
            # After a long silence, what the last window says is as old as the silence.
            self._before = self._least if now - self._since <= 2 * WINDOW_SECONDS else None
            self._since, self._least = now, late

    def seconds(self) -> float | None:
        """Returns how far the worker's clock is ahead, negative if behind; None if nothing was heard."""
        known = [late for late in (self._least, self._before) if late is not None]
        return -min(known) / 1e6 if known else None
