"""Whether tasks hang: the component `tasks`.

- Messages on a queue that no worker consumes, at two looks.
- Runs that the scheduler has published, and that no worker was heard to receive.
- Tasks whose time (`eta`) is long past, and that have not begun.
- Tasks of a worker that is gone, which are not known to be orphans.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from redis.exceptions import RedisError

from services.kernel.database import Database
from services.kernel.outages import DATABASE_ERRORS
from services.monitor.pace import USUAL, Pace
from services.monitor.queues import BrokerQueues
from services.monitor.system.components import Finding, Health
from services.monitor.system.store_hanging import LATE_SECONDS, hanging_tasks
from services.monitor.workers.stranded import Stranded

MOST_DETAIL = 1_000
# Names that are told of many.
MOST_NAMED = 3
MINUTES = LATE_SECONDS // 60


@dataclass(frozen=True)
class Late:
    """How many runs and tasks wait although their time has long come."""

    runs: int
    etas: int


class HangingLook:
    """Looks at what has changed only every `pace.hanging_look` seconds.

    `consumed` tells the queues that workers consume, None while that is not known; `stranded` the tasks of
    workers that are gone; `emptied` when queues were purged.
    """

    def __init__(
        self,
        database: Database,
        queues: BrokerQueues,
        consumed: Callable[[], Collection[str] | None],
        stranded: Callable[[], Stranded],
        emptied: Callable[[], Awaitable[Mapping[str, dt.datetime]]],
        pace: Pace = USUAL,
    ) -> None:
        self._database = database
        self._queues = queues
        self._consumed = consumed
        self._stranded = stranded
        self._emptied = emptied
        self._every = pace.hanging_look
        self._next = float("-inf")
        # Queues that had messages and no consumer at the last look, and how many.
        self._unread: Mapping[str, int] = {}
        self._faults: list[str] = []
        # What was found at the last look; None: it is not known.
        self.late: Late | None = None

    async def __call__(self) -> Finding:
        if time.monotonic() >= self._next:
            try:
                self._faults = await self.look()
            except (RedisError, OSError, *DATABASE_ERRORS):
                self._unread, self.late = {}, None
                detail = "not known while the broker or the database is away"
                return Finding(Health.DEGRADED, detail, asked=False)
            self._next = time.monotonic() + self._every
        faults = [*self._faults, *_of_stranded(self._stranded())]
        if faults:
            return Finding(Health.DEGRADED, "; ".join(faults)[:MOST_DETAIL], asked=False)
        return Finding(Health.HEALTHY, "none is known to hang", asked=False)

    async def look(self) -> list[str]:
        """Returns what hangs, in words."""
        before, self._unread = self._unread, await self._without_consumer()
        emptied = await self._emptied()
        async with self._database.reading() as connection:
            late = await hanging_tasks(connection, emptied)
        self.late = Late(late["runs"], late["etas"])
        lasting = {name: length for name, length in self._unread.items() if name in before}
        return [*_of_queues(lasting), *_of_late(late)]

    async def _without_consumer(self) -> Mapping[str, int]:
        consumed = self._consumed()
        if consumed is None:
            return {}
        queues = await self._queues.read()
        return {each.name: each.length for each in queues if each.length and each.name not in consumed}


def _of_queues(unread: Mapping[str, int]) -> Iterator[str]:
    if unread:
        longest = sorted(unread, key=lambda name: -unread[name])
        named = ", ".join(f"{name!r} ({unread[name]})" for name in longest[:MOST_NAMED])
        more = f" and {len(longest) - MOST_NAMED} more" if len(longest) > MOST_NAMED else ""
        yield (
            f"no worker consumes the queues {named}{more}, {sum(unread.values())} messages in all:"
            f" start one with -Q {longest[0]}"
        )


def _of_late(late: Any) -> Iterator[str]:
    if late["runs"]:
        yield (
            f"{late['runs']} runs were due more than {MINUTES} minutes ago and no worker was heard to receive"
            f" them, first {late['oldest_run']}: see whether workers keep up on the queue"
            f" {late['queue_of_run']!r}, and send events"
        )
    if late["etas"]:
        yield (
            f"{late['etas']} tasks have not begun more than {MINUTES} minutes after their eta, first a"
            f" {late['oldest_eta']!r}: see whether the workers that have them are busy"
        )


def _of_stranded(stranded: Stranded) -> Iterator[str]:
    if stranded.waiting:
        names = sorted(stranded.waiting)
        more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
        yield (
            f"{sum(stranded.waiting.values())} tasks of workers that are gone"
            f" ({', '.join(names[:MOST_NAMED])}{more}) wait to be delivered again, after the application's"
            " visibility_timeout"
        )
    if stranded.undecided:
        lacks = f": {stranded.lacks}" if stranded.lacks else ""
        yield f"{stranded.undecided} tasks of workers that are gone are being looked up{lacks}"
