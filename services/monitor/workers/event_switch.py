"""Tells workers that send no events of their tasks to send them, by Celery's command `enable_events`.

A worker that did send them, and does not any more, was told so by somebody on purpose, and is left alone.
That the same process did is known from the table of workers, and after a restart of the monitor from the
rows of tasks.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import structlog

from services.monitor.tasks.names import WorkerName
from services.monitor.workers.control import Control
from services.monitor.workers.workers import WorkerTable

log = structlog.get_logger(__name__)

# A worker tells its age in whole seconds.
AGE_PRECISION = dt.timedelta(seconds=1)

HasSent = Callable[[WorkerName, dt.datetime], Awaitable[bool]]


@dataclass(frozen=True)
class Present:
    """A worker that answered the roll call.

    `pool`: as in "prefork"; empty if it did not say. `age`: how long ago it was started, None if it did not
    say. `processed`: how many tasks it has run. `concurrency`: how many it can run at once; 0 if it did not
    say.
    """

    name: WorkerName
    pool: str
    age: dt.timedelta | None
    processed: int
    concurrency: int = 0


class EventSwitch:
    """`has_sent` tells whether a worker has sent events since a time by its own clock.

    `acts` tells whether this monitor is the one of several that switches: if each did, one might switch on
    what was switched off after another had.
    """

    def __init__(
        self,
        control: Control,
        workers: WorkerTable,
        has_sent: HasSent,
        acts: Callable[[], bool] = lambda: True,
    ) -> None:
        self._acts = acts
        self._control = control
        self._workers = workers
        self._has_sent = has_sent

    async def switch_on(self, present: Sequence[Present], now: dt.datetime) -> None:
        """Tells those workers that have to be told. Raises `Unavailable`, and what `has_sent` raises."""
        for each in present:
            if self._workers.to_be_told(each.name) and await self._sent_before(each, now):
                self._workers.has_sent(each.name)
        if not self._acts():
            return
        # After all were looked at: a command reaches all processes of a hostname.
        chosen = [each.name for each in present if self._workers.to_be_told(each.name)]
        if not chosen:
            return
        answers = await self._control.ask("enable_events", workers=chosen)
        for name in chosen:
            if answers.get(name.hostname):
                self._workers.was_told(name)
                log.info("worker.told_to_send_events", worker=str(name))

    async def _sent_before(self, each: Present, now: dt.datetime) -> bool:
        """Whether it sent events earlier in its life. One that tells no age is taken for one that did."""
        if each.age is None:
            return True
        found = self._workers.find(each.name)
        ahead = (found[0].clock_skew or 0.0) if found else 0.0
        since = now - each.age - AGE_PRECISION + dt.timedelta(seconds=ahead)
        return await self._has_sent(each.name, since)
