"""Background loops: each takes one step again and again, for as long as its process runs.

1. The step is taken. An exception that the loop outlives is logged and counted. Any other ends the loop, and
   with it the process, which its supervisor then restarts.
2. The loop waits: for its interval, or as long as the step asked for (`Again`), or until it is woken.
3. After a failed step it also waits for its interval; a loop with a `Backoff` waits longer after each failure
   in a row, and can't be woken meanwhile.

The interval is multiplied by a random factor close to 1, so that replicas that were started together do not
all ask the database or the broker at the same moment. Within a process it is the other way round: each time
that an idle process is woken costs as much as what it then does, so a loop takes its step up to SLACK early
when another loop of its event loop is woken anyway. A cancellation ends the loop, wherever it is. A driver
may turn one into an error of its own, so a loop that runs in a task is cancelled until it has ended
(`to_the_end`).

A metric shows when each loop last succeeded (`Heartbeat`), so that one that has failed for an hour is
noticed. docs/decisions/kernel-loops.md says why there is one such class, and which loops do not use it.
"""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import NoReturn, Protocol

import structlog

from services.kernel.logged_errors import for_log

log = structlog.get_logger(__name__)

# An interval is at most this share shorter or longer than it was given.
JITTER = 0.05
# An interval is cut by at most this share to take a step together with another loop. It is never lengthened.
SLACK = 0.25
# A loop is late when no step has succeeded for so long, beside the time that it rests: something is wrong.
LATE_SECONDS = 60.0


@dataclass(frozen=True)
class Again:
    """A step's result: take the next step after exactly so many seconds, not after the interval.

    `early`: it may also be taken up to SLACK sooner, together with another loop's.
    """

    seconds: float
    early: bool = False


# A step's result: there is nothing to do before the loop is woken.
UNTIL_WOKEN = Again(math.inf)

# What a step returns is ignored, unless it is an `Again`.
Step = Callable[[], Awaitable[object]]


@dataclass(frozen=True)
class Backoff:
    """How long to wait while a step fails: `first` seconds, then twice as long each time, up to `most`."""

    first: float
    most: float

    def after(self, failures: int) -> float:
        """Returns the seconds to wait after so many failures in a row (1 or more)."""
        # The exponent is bounded, because a float overflows after some thousand failures.
        return min(self.first * 2.0 ** min(failures - 1, 60), self.most)


class Heartbeat:
    """When a loop last succeeded, and how often it failed."""

    def __init__(self, name: str, clock: Callable[[], float] = time.time) -> None:
        self.name = name
        # Since the process started, and since the last success.
        self.failures = self.failures_in_a_row = 0
        # The loop waits for work, without a limit of time: nothing is wrong, however long that takes.
        self.idle = False
        self._clock = clock
        # The next success may be expected from `_due_at` on.
        self._succeeded_at = self._due_at = clock()

    @property
    def last_success(self) -> float:
        """Seconds since 1970: now, while it is idle; before the first success, when the loop was made."""
        return self._clock() if self.idle else self._succeeded_at

    @property
    def late(self) -> float:
        """Seconds since a success was due, if they are more than LATE_SECONDS; else 0.

        A step that hangs makes a loop late, and so do failures one after another.
        """
        overdue = self.overdue
        return overdue if overdue > LATE_SECONDS and not self.idle else 0.0

    @property
    def failing_since(self) -> float | None:
        """When a success was due, in seconds since 1970, of a loop that only fails or is late; else None.

        It is the same at each look until the loop succeeds.
        """
        return self._due_at if self.failures_in_a_row or self.late else None

    @property
    def failing(self) -> float:
        """Seconds since a success was due, of a loop whose last step has failed or that is late; else 0."""
        since = self.failing_since
        return 0.0 if since is None else max(0.0, self._clock() - since)

    @property
    def hangs(self) -> float:
        """Seconds for which a loop has been late without a failure: its step does not come back. Else 0."""
        return 0.0 if self.failures_in_a_row else self.late

    @property
    def overdue(self) -> float:
        """Seconds since a success was due; negative while the loop rests."""
        return self._clock() - self._due_at

    def rests(self, seconds: float) -> None:
        """Notes that no step is to be taken for so long."""
        self._due_at = self._clock() + seconds

    def begins(self) -> None:
        """Notes that a step begins, which may be sooner than the end of the rest."""
        self._due_at = min(self._due_at, self._clock())

    def succeeded(self, rests: float = 0.0) -> None:
        """Notes a success, after which no step is to be taken for so many seconds."""
        self._succeeded_at = self._clock()
        self.rests(rests)
        self.failures_in_a_row = 0

    def failed(self) -> None:
        self.failures += 1
        self.failures_in_a_row += 1


class Background(Protocol):
    """What a process does for as long as it runs: a `Loop`, or something that consists of several."""

    @property
    def heartbeats(self) -> Sequence[Heartbeat]: ...

    async def run(self) -> None: ...


class Loop:
    """Takes a step again and again.

    name: its name in metrics and in the log; unique in its process.
    step: what is done. It may also be long, as a stream is: then it calls `heartbeat.succeeded` meanwhile.
    every: seconds from the end of a step to the next.
    outlives: exceptions after which the loop goes on, also when they come in an exception group.
    failed: the event that is logged for each of them.
    patience: for so many seconds without a success a failure is no reason to warn: it is logged at INFO.
    retry: how long it waits after a failure; without it, `every`.
    woken: ends the wait when it is set; the loop clears it before each step.
    at_once: whether the first step is taken at the start, or after the first interval.
    """

    def __init__(
        self,
        name: str,
        step: Step,
        *,
        every: float,
        outlives: tuple[type[Exception], ...] = (),
        failed: str = "loop.failed",
        patience: float = 0.0,
        retry: Backoff | None = None,
        woken: asyncio.Event | None = None,
        at_once: bool = True,
    ) -> None:
        self.heartbeat = Heartbeat(name)
        self._step = step
        self._every = every
        self._outlives = outlives
        self._failed = failed
        self._patience = patience
        self._retry = retry
        self._woken = woken
        self._at_once = at_once

    @property
    def heartbeats(self) -> Sequence[Heartbeat]:
        return [self.heartbeat]

    async def run(self) -> NoReturn:
        """Ends only by cancellation, or by an exception that the loop does not outlive."""
        if not self._at_once:
            self.heartbeat.rests(self._every)
            await asyncio.sleep(jittered(self._every))
        while True:
            if self._woken is not None:
                self._woken.clear()
            answer, seconds, fault = None, 0.0, ""
            self.heartbeat.begins()
            try:
                try:
                    answer = await self._step()
                    seconds = self._seconds_after(answer)
                except* self._outlives as group:
                    # As text, so that the frames of the step are released before the wait.
                    fault = for_log(_first(group))
            except BaseException:
                if fault:
                    # Others beside it end the loop. It may be their cause, so it is told of, too.
                    self.heartbeat.failed()
                    self._tell(fault)
                raise
            if fault:
                await self._wait_after(fault)
            else:
                self.heartbeat.succeeded(rests=seconds)
                exact = isinstance(answer, Again) and not answer.early
                await self._wait(seconds, 0.0 if exact else SLACK)

    def _seconds_after(self, answer: object) -> float:
        return answer.seconds if isinstance(answer, Again) else jittered(self._every)

    def _tell(self, fault: str, **more: float) -> None:
        say = log.warning if self.heartbeat.overdue >= self._patience else log.info
        say(self._failed, loop=self.heartbeat.name, error=fault, **more)

    async def _wait_after(self, fault: str) -> None:
        self.heartbeat.failed()
        retry = self._retry
        seconds = jittered(retry.after(self.heartbeat.failures_in_a_row) if retry else self._every)
        self._tell(fault, retry_seconds=round(seconds, 3))
        if retry:
            await asyncio.sleep(seconds)
        else:
            await self._wait(seconds)

    async def _wait(self, seconds: float, slack: float = 0.0) -> None:
        if seconds < math.inf:
            await rest(seconds, slack, self._woken)
        elif self._woken is not None:
            self.heartbeat.idle = True
            try:
                await self._woken.wait()
            finally:
                self.heartbeat.idle = False
        else:
            await asyncio.sleep(seconds)


# The rests that may end early, each with the moment (of its event loop's clock) from which on it may.
_RESTS: dict[asyncio.Timeout, tuple[asyncio.AbstractEventLoop, float]] = {}


async def rest(seconds: float, slack: float = SLACK, woken: asyncio.Event | None = None) -> None:
    """Waits for the seconds, or until woken; up to `slack` (a share) less if another rest ends meanwhile."""
    here = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(seconds) as limit:
            if slack:
                _RESTS[limit] = here, here.time() + seconds * (1 - slack)
            try:
                await (here.create_future() if woken is None else woken.wait())
            finally:
                _RESTS.pop(limit, None)
    except TimeoutError:
        _end_rests(here)


def _end_rests(here: asyncio.AbstractEventLoop) -> None:
    now = here.time()
    for limit, (where, earliest) in list(_RESTS.items()):
        # Those of other event loops are in other threads.
        if where is here and earliest <= now and not limit.expired():
            limit.reschedule(now)


def jittered(seconds: float) -> float:
    """Returns the seconds times a random factor within JITTER of 1."""
    return seconds * random.uniform(1 - JITTER, 1 + JITTER)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Returns the first exception that is not itself a group."""
    first = group.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
