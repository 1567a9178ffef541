"""What messages can do beside being read: wait for the end of what they tell of, hand out vectors."""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from array import array
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from celeriac.calls.views import View
from celeriac.exceptions import DeadlineExceeded

if TYPE_CHECKING:
    import numpy as np

Followed = TypeVar("Followed", bound="_Follows")
GET_RUN = "/celeriac.scheduler.v1.ScheduleService/GetRun", "celeriac.scheduler.v1.schedules_pb2"
WAIT = "/celeriac.operations.v1.OperationService/WaitOperation", "celeriac.operations.v1.operations_pb2"
# The seconds between two looks at a run: the first, and the longest that they grow to.
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 2.0
# How long one WaitOperation waits at the server; the contract allows 60 s.
WAIT_SECONDS = 30.0


class _Follows(View):
    """A message of something that ends."""

    if TYPE_CHECKING:
        name: str

    @property
    def ended(self) -> bool:
        """Whether it has ended, as far as this message knows."""
        raise NotImplementedError

    def _left(self, deadline: float | None) -> float | None:
        """Returns the seconds that are left. Raises DeadlineExceeded if there are none."""
        left = None if deadline is None else deadline - time.monotonic()
        if left is not None and left <= 0:
            raise DeadlineExceeded(
                f"{self.name} has not ended in the time that was given to wait; it goes on"
            )
        return left


class _Run(_Follows):
    if TYPE_CHECKING:
        state: Any
        outcome: Any

    @property
    def ended(self) -> bool:
        """Whether its task has ended, or will never run."""
        return self.outcome is not None or self.state in {"SKIPPED", "LOST"}


class _Operation(_Follows):
    if TYPE_CHECKING:
        state: Any

    @property
    def ended(self) -> bool:
        return self.state not in {"RUNNING", "CANCELLING"}


class Run(_Run):
    def wait(self: Followed, timeout: dt.timedelta | float | None = None) -> Followed:
        """Returns the run after its task has ended, or was skipped or lost: see `outcome` and `error`.

        `timeout`: the longest to wait, as seconds or a timedelta; None: without end. Raises DeadlineExceeded.
        The outcome comes from the monitor: without it, or where workers send no events, none ever comes.
        """
        run, deadline = self, _deadline(timeout)
        for pause in _pauses():
            if run.ended:
                return run
            left = run._left(deadline)
            time.sleep(pause if left is None else min(pause, left))
            run = self._calls.unary(*GET_RUN, {"name": self.name}, None)
        raise AssertionError("pauses have no end")


class AsyncRun(_Run):
    async def wait(self: Followed, timeout: dt.timedelta | float | None = None) -> Followed:
        """Returns the run after its task has ended, as `Run.wait` does."""
        run, deadline = self, _deadline(timeout)
        for pause in _pauses():
            if run.ended:
                return run
            left = run._left(deadline)
            await asyncio.sleep(pause if left is None else min(pause, left))
            run = await self._calls.unary(*GET_RUN, {"name": self.name}, None)
        raise AssertionError("pauses have no end")


class Operation(_Operation):
    def wait(self: Followed, timeout: dt.timedelta | float | None = None) -> Followed:
        """Returns the operation after its end: see `state`, `done` and `failed`.

        `timeout`: the longest to wait; None: without end. Raises DeadlineExceeded; the operation goes on
        then.
        """
        operation, deadline = self, _deadline(timeout)
        while not operation.ended:
            operation = self._calls.unary(*WAIT, _one_wait(operation, deadline), None)
        return operation


class AsyncOperation(_Operation):
    async def wait(self: Followed, timeout: dt.timedelta | float | None = None) -> Followed:
        """Returns the operation after its end, as `Operation.wait` does."""
        operation, deadline = self, _deadline(timeout)
        while not operation.ended:
            operation = await self._calls.unary(*WAIT, _one_wait(operation, deadline), None)
        return operation


class Vectors(View):
    """An answer of Embed."""

    if TYPE_CHECKING:
        dimension: int

    @property
    def vectors(self) -> np.ndarray[Any, Any] | Sequence[Sequence[float]]:
        """A row for each text, of float32: an array of numpy if it is installed, else a list of arrays."""
        raw: bytes = self.raw.vectors
        try:
            import numpy as np
        except ImportError:
            return [_floats(raw[start : start + 4 * self.dimension]) for start in self._starts(len(raw))]
        # astype copies: what frombuffer returns can't be written.
        rows = len(self._starts(len(raw)))
        return np.frombuffer(raw, "<f4").astype(np.float32).reshape(rows, self.dimension)

    def _starts(self, size: int) -> range:
        return range(0, size, 4 * max(self.dimension, 1))


def _floats(raw: bytes) -> array[float]:
    import sys

    found = array("f", raw)
    if sys.byteorder == "big":
        found.byteswap()
    return found


def _deadline(timeout: dt.timedelta | float | None) -> float | None:
    seconds = timeout.total_seconds() if isinstance(timeout, dt.timedelta) else timeout
    return None if seconds is None else time.monotonic() + seconds


def _one_wait(operation: _Follows, deadline: float | None) -> dict[str, Any]:
    left = operation._left(deadline)
    seconds = WAIT_SECONDS if left is None else min(WAIT_SECONDS, left)
    return {"name": operation.name, "timeout": seconds}


def _pauses() -> Iterator[float]:
    pause = FIRST_PAUSE
    while True:
        yield pause
        pause = min(pause * 1.5, LONGEST_PAUSE)
