"""How events are kept between the relay and the monitors: in a capped stream of a Redis or Valkey of our own.

The relay adds to the stream what it hears from the broker; a monitor reads it from the place up to which its
rows are written. So a monitor may be stopped, killed or upgraded, and misses nothing that the relay heard.

    celeriac:events           the stream; each entry has some of the broker's messages
    celeriac:events:alive     when the relay last said that it listens: seconds since 1970
    celeriac:events:written   up to which entry the one monitor that writes has written all rows

An entry has these fields:

    messages   the bodies of the broker's messages, with a newline between two; a message that can't be read
               is null
    relay      the relay's process, by a random name
    first      the number of the first message, counted by that relay from 0
    gap        instead of messages: from when until when (seconds since 1970) the relay heard nothing
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import orjson
import redis.asyncio
from pydantic import SecretStr

from services.kernel import broker
from services.kernel.broker_address import BrokerAddress
from services.monitor.totals.ledger import Position

STREAM = "celeriac:events"
ALIVE = "celeriac:events:alive"
WRITTEN = "celeriac:events:written"
# Before the first entry.
BEGINNING = "0-0"
# Relays whose counts are remembered; each start of the relay is a new one.
MOST_RELAYS = 10


Fields: TypeAlias = Mapping[bytes, bytes]


def position_of(entry_id: str) -> Position:
    """Returns where the entry is in the stream: for "1764480000000-0", (1764480000000, 0)."""
    first, _, second = entry_id.partition("-")
    return int(first), int(second)


def milliseconds(entry_id: str) -> int:
    """Returns when the entry was added, in milliseconds since 1970: the first part of its id."""
    return int(entry_id.partition("-")[0])


@dataclass(frozen=True)
class Gap:
    """A time in which the relay heard nothing, in seconds since 1970: what was published is not known."""

    since: float
    until: float


@dataclass(frozen=True)
class Entry:
    """One entry of the stream. `id`: where it is in the stream, as in "1764480000000-0"."""

    id: str
    relay: str
    first: int
    messages: Sequence[bytes]
    gap: Gap | None

    @property
    def added_at(self) -> float:
        """When it was added, by the clock of the stream's server, in seconds since 1970."""
        return milliseconds(self.id) / 1000

    @classmethod
    def read(cls, entry_id: bytes, fields: Fields) -> Entry:
        """Raises ValueError for what no relay wrote."""
        relay, gap = fields.get(b"relay", b"").decode(), fields.get(b"gap")
        messages = fields[b"messages"].split(b"\n") if b"messages" in fields else []
        return cls(entry_id.decode(), relay, int(fields.get(b"first", b"")), messages, _gap_in(gap))


def _gap_in(told: bytes | None) -> Gap | None:
    if told is None:
        return None
    since, _, until = told.partition(b" ")
    return Gap(float(since), float(until))


@dataclass
class Place:
    """How far the stream was read: the last entry, and the number of the next message of each relay."""

    id: str
    expected: dict[str, int]
    # Whether the last entry passed over shows that the stream's server has lost what it knew.
    forgotten: bool = field(default=False, compare=False)

    @property
    def read_at(self) -> float:
        """When the last entry was added, in seconds since 1970."""
        return milliseconds(self.id) / 1000

    @classmethod
    def load(cls, stored: bytes) -> Place:
        found = orjson.loads(stored)
        return cls(str(found["id"]), {str(relay): int(first) for relay, first in found["expected"].items()})

    def dump(self) -> bytes:
        return orjson.dumps({"id": self.id, "expected": self.expected})

    def copy(self) -> Place:
        return Place(self.id, dict(self.expected))

    def had(self, entry: Entry) -> bool:
        """Whether the entry was read before: a relay whose write was not answered adds it again."""
        return bool(entry.messages) and entry.first < self.expected.get(entry.relay, 0)

    def pass_over(self, entry: Entry) -> int:
        """Notes that the entry was read; returns how many messages before it are missing from the stream."""
        known = self.expected.pop(entry.relay, None)
        # Of a relay that is not known, whatever it heard before is missing: unless nothing was read at all.
        expected = known if known is not None else entry.first if self.id == BEGINNING else 0
        # A new relay tells how long nothing was heard, unless the stream's server has lost what it knew.
        self.forgotten = known is None and entry.gap is None and self.id != BEGINNING
        self.id = entry.id
        self.expected[entry.relay] = max(expected, entry.first + len(entry.messages))
        while len(self.expected) > MOST_RELAYS:
            del self.expected[next(iter(self.expected))]
        return max(0, entry.first - expected)


class KeptStream:
    """The stream on its server. Each method is one request, and raises redis-py's errors and OSError."""

    def __init__(self, store: redis.asyncio.Redis) -> None:
        # redis-py declares the answers of all its protocols at once.
        self._store: Any = store

    async def add_messages(self, relay: str, first: int, messages: Sequence[bytes]) -> None:
        joined = b"\n".join(messages)
        if joined.count(b"\n") >= len(messages):
            # JSON, which messages are, has no newline that could not be a space.
            joined = b"\n".join(message.replace(b"\n", b" ") for message in messages)
        await self._store.xadd(STREAM, {"relay": relay, "first": first, "messages": joined})

    async def add_gap(self, relay: str, first: int, gap: Gap) -> None:
        told = f"{gap.since} {gap.until}"
        await self._store.xadd(STREAM, {"relay": relay, "first": first, "gap": told})

    async def read(self, after: str, most: int, wait: float) -> Sequence[tuple[bytes, Fields]]:
        """Returns the id and the fields of the next entries; waits up to `wait` seconds for the first."""
        answer = await self._store.xread({STREAM: after}, most, int(wait * 1000))
        return answer[0][1] if answer else ()

    async def keep(self, alive: float | None, written: str | None, moment: float) -> tuple[Place | None, int]:
        """Notes that the relay listens, drops what was read, and looks, all in one round trip.

        alive: when the relay listened, in seconds since 1970; None: it does not.
        written: drops the entries up to this one which were added before `moment` (seconds since 1970).

        Returns up to which entry a monitor has written, and the bytes of memory that the stream takes,
        estimated from some of its entries.
        """
        requests = self._store.pipeline(transaction=False)
        if alive is not None:
            requests.set(ALIVE, alive)
        if written is not None:
            requests.xtrim(STREAM, minid=_oldest_kept(written, moment), approximate=False)
        requests.get(WRITTEN)
        requests.memory_usage(STREAM, samples=100)
        *_, stored, used = await requests.execute()
        return Place.load(stored) if stored else None, used or 0

    async def alive(self) -> float | None:
        """Returns when the relay last said that it listens, in seconds since 1970."""
        told = await self._store.get(ALIVE)
        return float(told) if told else None

    async def note(self, place: bytes) -> None:
        """`place`: as `Place.dump` returns it."""
        await self._store.set(WRITTEN, place)

    async def noted(self) -> Place | None:
        stored = await self._store.get(WRITTEN)
        return Place.load(stored) if stored else None

    async def has_dropped(self) -> bool:
        """Whether entries were dropped from the stream since its server has kept it.

        A server that does not tell (Redis before 7) is taken to have dropped what is missing.
        """
        told = await self._store.xinfo_stream(STREAM)
        return bool(told.get("entries-added", told["length"] + 1) > told["length"])

    async def length(self) -> int:
        return int(await self._store.xlen(STREAM))

    async def drop_all_but(self, newest: int) -> None:
        await self._store.xtrim(STREAM, maxlen=newest, approximate=False)


def _oldest_kept(written: str, moment: float) -> str:
    if milliseconds(written) >= moment * 1000:
        return f"{max(0, int(moment * 1000))}-0"
    first, _, second = written.partition("-")
    return f"{first}-{int(second) + 1}"


@asynccontextmanager
async def opened_stream(url: SecretStr | None) -> AsyncIterator[KeptStream | None]:
    """Yields the stream on the server of the URL; None without one."""
    if url is None:
        yield None
        return
    async with broker.connect_to(BrokerAddress.parse(url.get_secret_value())) as store:
        yield KeptStream(store)
