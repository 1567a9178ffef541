"""Queues of the broker, as kombu's Redis transport keeps them.

A queue is one list for each priority step: `q`, `q␆␖3`, `q␆␖6`, `q␆␖9`. The names of the queues are in the
sets `_kombu.binding.<exchange>`, whose members are routing key, pattern and queue. Messages that workers hold
unacknowledged are in one hash for all queues, `unacked`, as JSON arrays [envelope, exchange, routing key].
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import redis.asyncio
import structlog

from services.kernel.broker_layout import Layout
from services.kernel.errors import FailedPrecondition
from services.monitor.tasks.names import fits

log = structlog.get_logger(__name__)

BINDING = "_kombu.binding."
UNACKED = "unacked"
# Queues beyond this number, in the order of their names, are not read.
MOST_QUEUES = 10_000
# The search for bindings scans all keys of the broker: it is repeated after a pause that keeps it within this
# share of the time.
SCAN_SHARE = 0.02
# Entries and bytes of `unacked` that one call reads on the broker. The counts of a larger hash are projected
# from the part that was read.
MOST_UNACKED = 2_000
MOST_UNACKED_BYTES = 1024 * 1024

# Returns all lengths in one answer. A key that is not a list counts as empty instead of failing the script.
LENGTHS = """
local lengths = {}
for i = 1, #KEYS do
    local length = redis.pcall('LLEN', KEYS[i])
    lengths[i] = type(length) == 'number' and length or 0
end
return lengths
"""
# Keys per call of the script: between the calls, the broker serves other clients.
LENGTHS_AT_ONCE = 2_000

# Counts the entries by exchange and routing key, on the broker, so that no envelope is transferred; and those
# among them whose ETA is later than now. Days are counted as in "chrono-Compatible Low-Level Date Algorithms"
# (Howard Hinnant).
COUNT_UNACKED = """
local now = tonumber(redis.call('TIME')[1])
local function seconds_of(eta)
    local y, m, d, H, M, S, zone = string.match(eta, '^(%d+)-(%d+)-(%d+)T(%d+):(%d+):(%d+)%.?%d*(.*)$')
    if not y then return 0 end
    y, m = tonumber(y), tonumber(m)
    if m <= 2 then y = y - 1 end
    local era = math.floor(y / 400)
    local yoe, doy = y - era * 400, math.floor((153 * ((m + 9) % 12) + 2) / 5) + tonumber(d) - 1
    local days = era * 146097 + yoe * 365 + math.floor(yoe / 4) - math.floor(yoe / 100) + doy - 719468
    local sign, zh, zm = string.match(zone, '^([+-])(%d%d):?(%d%d)')
    local offset = sign and (tonumber(zh) * 3600 + tonumber(zm) * 60) * (sign == '-' and -1 or 1) or 0
    return days * 86400 + tonumber(H) * 3600 + tonumber(M) * 60 + tonumber(S) - offset
end
local counts, etas, seen, bytes, cursor = {}, {}, 0, 0, '0'
repeat
    local page = redis.call('HSCAN', KEYS[1], cursor, 'COUNT', 50)
    cursor = page[1]
    for i = 2, #page[2], 2 do
        local route = string.match(string.sub(page[2][i], -300), '^.*}, ?(.*)%]$') or ''
        counts[route] = (counts[route] or 0) + 1
        local eta = string.match(page[2][i], '"eta": ?"([^"]*)"')
        if eta and seconds_of(eta) > now then etas[route] = (etas[route] or 0) + 1 end
        seen = seen + 1
        bytes = bytes + #page[2][i]
    end
until cursor == '0' or seen >= tonumber(ARGV[1]) or bytes >= tonumber(ARGV[2])
local answer = {redis.call('HLEN', KEYS[1]), seen}
for route, count in pairs(counts) do
    answer[#answer + 1] = route
    answer[#answer + 1] = count
    answer[#answer + 1] = etas[route] or 0
end
return answer
"""


@dataclass(frozen=True)
class Queue:
    """A queue at one moment.

    `by_priority`: (priority step, number of messages) of the steps that have messages, in the order in which
    workers read them.
    """

    name: str
    by_priority: tuple[tuple[int, int], ...] = ()
    unacknowledged: int = 0
    # True when `unacknowledged` and `waiting_for_eta` were projected from a part of the messages.
    unacknowledged_estimated: bool = False
    # Those among the unacknowledged whose time has not come.
    waiting_for_eta: int = 0

    @property
    def length(self) -> int:
        return sum(length for _, length in self.by_priority)


@dataclass(frozen=True)
class Binding:
    """A rule of an exchange: which routing keys, by equality or by a pattern, go to the queue."""

    exchange: str
    routing_key: str
    pattern: re.Pattern[str] | None
    queue: str

    def takes(self, routing_key: str) -> bool:
        return routing_key == self.routing_key or (
            self.pattern is not None and self.pattern.match(routing_key) is not None
        )


class BrokerQueues:
    """Reads the bound queues, and of the queues that `heard` returns (named in events) those with messages.

    The latter are needed because a broker that lost its keys has lost the bindings too, while workers
    continue to use the queues.
    """

    def __init__(
        self,
        client: redis.asyncio.Redis,
        layout: Layout,
        heard: Callable[[], Iterable[str]] = tuple,
    ) -> None:
        self._client = client
        self._layout = layout
        self._heard = heard
        self._bindings: tuple[Binding, ...] = ()
        self._rescan_at = 0.0
        self._look_at_lengths = client.register_script(LENGTHS)
        self._count_unacked = client.register_script(COUNT_UNACKED)

    async def read(self) -> tuple[Queue, ...]:
        """Returns all queues, by name. Raises the errors of the Redis client while the broker is away."""
        if time.monotonic() >= self._rescan_at:
            await self._find_bindings()
        bound = {binding.queue for binding in self._bindings}
        names = sorted(bound.union(self._heard()))[:MOST_QUEUES]
        lengths = await self._lengths(names)
        held, waiting, estimated = await self._unacknowledged()
        return tuple(
            Queue(name, by_priority, held.get(name, 0), estimated, waiting.get(name, 0))
            for name, by_priority in zip(names, lengths, strict=True)
            if name in bound or by_priority or name in held
        )

    async def look_up(self, name: str) -> Queue | None:
        """Returns a queue that `read` may not know yet, as it was declared since bindings were looked for.

        None if the broker has neither a message in it nor the binding that Celery gives each queue. Queues
        beyond `MOST_QUEUES` are found, too.
        """
        if not fits(name):
            return None
        binding, member = self._layout.binding_of(name)
        # redis-py's stub leaves open whether this is the answer or is to be awaited.
        bound: Any = self._client.sismember(binding, member)
        [by_priority] = await self._lengths([name])
        return Queue(name, by_priority) if await bound or by_priority else None

    async def refuse_unusable(self, name: str) -> None:
        """Raises `FailedPrecondition` if the broker has something else than lists under the queue's keys.

        A worker that reads such a key ends at once.
        """
        keys = self._layout.keys_of(name)
        async with self._client.pipeline(transaction=False) as pipeline:
            for key in keys:
                pipeline.type(key)
            kinds = await pipeline.execute()
        for key, kind in zip(keys, kinds, strict=True):
            if kind not in (b"list", b"none"):
                raise FailedPrecondition(
                    "QUEUE_REFUSED",
                    f"no worker was told to consume the queue {name!r}: the broker's key {key!r} is no list",
                )

    async def _find_bindings(self) -> None:
        started = time.monotonic()
        prefix = self._layout.prefix + BINDING
        pattern = re.sub(r"([*?\[\]\\])", r"\\\1", prefix) + "*"
        keys = [key async for key in self._client.scan_iter(pattern, count=1000, _type="set")]
        async with self._client.pipeline(transaction=False) as pipeline:
            for key in keys:
                pipeline.smembers(key)
            members = await pipeline.execute()
        found: list[Binding] = []
        for key, routes in zip(keys, members, strict=True):
            found += _bindings_of(
                key.decode(errors="replace").removeprefix(prefix), routes, self._layout.separator
            )
        if len({binding.queue for binding in found}) > MOST_QUEUES:
            log.warning("queues.too_many", queues=len(found), shown=MOST_QUEUES)
        self._bindings = tuple(found)
        now = time.monotonic()
        self._rescan_at = now + (now - started) / SCAN_SHARE

    async def _lengths(self, names: Sequence[str]) -> list[tuple[tuple[int, int], ...]]:
        steps = self._layout.steps
        keys = [key for name in names for key in self._layout.keys_of(name)]
        lengths: list[int] = []
        for at in range(0, len(keys), LENGTHS_AT_ONCE):
            lengths += await self._look_at_lengths(keys[at : at + LENGTHS_AT_ONCE])
        return [
            tuple(
                (step, length)
                for step, length in zip(steps, lengths[at : at + len(steps)], strict=True)
                if length
            )
            for at in range(0, len(lengths), len(steps))
        ]

    async def _unacknowledged(self) -> tuple[Mapping[str, int], Mapping[str, int], bool]:
        """Returns the unacknowledged messages by queue, those of them that wait for their time, and whether
        the counts are projected from a part."""
        answer = await self._count_unacked(
            [self._layout.prefix + UNACKED], [MOST_UNACKED, MOST_UNACKED_BYTES]
        )
        total, seen, *routes = answer
        counts: Counter[str] = Counter()
        waiting: Counter[str] = Counter()
        for route, count, of_them in zip(routes[::3], routes[1::3], routes[2::3], strict=True):
            queue = self._queue_of(route)
            if queue:
                counts[queue] += count
                waiting[queue] += of_them
        # HSCAN may show an entry twice while the hash grows; it never misses one.
        if seen < total:
            return _projected(counts, total / seen), _projected(waiting, total / seen), True
        return counts, waiting, False

    def _queue_of(self, route: bytes) -> str:
        """Returns the queue for the JSON text `"exchange", "routing key"`; "" for any other text."""
        try:
            exchange, routing_key = orjson.loads(b"[" + route + b"]")
        except ValueError:
            return ""
        if not isinstance(exchange, str) or not isinstance(routing_key, str):
            return ""
        for binding in self._bindings:
            if binding.exchange == exchange and binding.takes(routing_key):
                return binding.queue
        # The default exchange uses the routing key as the name of the queue.
        return routing_key


def _projected(counts: Mapping[str, int], factor: float) -> Mapping[str, int]:
    return {queue: round(count * factor) for queue, count in counts.items()}


def _bindings_of(exchange: str, members: Iterable[bytes], separator: str) -> list[Binding]:
    if exchange == "celeryev" or exchange.endswith(".pidbox"):
        return []
    found = []
    for member in members:
        try:
            routing_key, pattern, queue = member.decode().split(separator)
            expression = re.compile(pattern) if pattern else None
        except (ValueError, re.error):
            continue
        if queue and fits(queue):
            found.append(Binding(exchange, routing_key, expression, queue))
    return found
