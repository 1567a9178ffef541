"""Purges queues, and puts back what was purged (docs/decisions/monitor-purges.md).

What is purged stays on the broker, under keys of our own that expire: `celeriac:purged:{id}` has what is told
of the purge, `celeriac:purged:{id}:{step}` the messages of a priority step, `celeriac:purges` the ids. A list
is renamed, so there is no moment at which a message is in neither place. `celeriac:emptied` has for a day
when each queue was purged whole: what was sent to it before waits no more.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import redis.asyncio

from services.kernel.broker_layout import Layout
from services.kernel.errors import FailedPrecondition, NotFound
from services.kernel.once import Once

KEPT_SECONDS = 600
# Bytes of the broker's memory that all purges together may keep.
# So long it is known which queues were purged whole: tasks that are more than a day late are history.
EMPTIED_SECONDS = 86_400
MOST_BYTES = 256 * 1024 * 1024
MOST_COUNT = 10_000
# Messages that one call of the script puts back.
PUT_BACK_AT_ONCE = 1_000

EMPTIED = "celeriac:emptied"

# KEYS: the ids of all purges, this purge, its lists, the queue's lists.
PURGE = """
local steps = (#KEYS - 2) / 2
local expected, newer, most = tonumber(ARGV[1]), ARGV[2] == '1', tonumber(ARGV[3])
local keep, only_look = ARGV[4] == '1', ARGV[5] == '1'
local kept_seconds, most_bytes = tonumber(ARGV[6]), tonumber(ARGV[7])
local id, prefix = ARGV[8], ARGV[9]
if redis.call('EXISTS', KEYS[2]) == 1 then return {'known'} end

local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local lengths, total, bytes = {}, 0, 0
for i = 1, steps do
    local length = redis.pcall('LLEN', KEYS[2 + steps + i])
    lengths[i] = type(length) == 'number' and length or 0
    total = total + lengths[i]
end
if total > expected and not newer then return {'changed', total} end

local left, taken = most > 0 and math.min(most, total) or total, {}
for i = 1, steps do
    taken[i] = math.min(lengths[i], left)
    left = left - taken[i]
    if taken[i] > 0 then
        bytes = bytes + redis.call('MEMORY', 'USAGE', KEYS[2 + steps + i]) * taken[i] / lengths[i]
    end
end
bytes = math.floor(bytes)
if keep then
    local all = bytes
    redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
    for _, other in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
        all = all + tonumber(redis.call('HGET', prefix .. other, 'bytes') or 0)
    end
    if all > most_bytes then return {'large', bytes, all} end
end
if only_look then return {'seen', bytes, unpack(taken)} end

for i = 1, steps do
    local from, to = KEYS[2 + steps + i], KEYS[2 + i]
    if taken[i] > 0 and taken[i] == lengths[i] then
        redis.call('RENAME', from, to)
    else
        for _ = 1, taken[i] do redis.call('LMOVE', from, to, 'RIGHT', 'LEFT') end
    end
    if not keep then redis.call('UNLINK', to) end
    if keep and taken[i] > 0 then redis.call('EXPIRE', to, kept_seconds) end
end
local expires = keep and now + kept_seconds or 0
redis.call('HSET', KEYS[2], 'bytes', bytes, 'at', string.format('%.6f', now),
    'expires', string.format('%.6f', expires), 'counts', table.concat(taken, ','), unpack(ARGV, 10))
redis.call('EXPIRE', KEYS[2], kept_seconds)
if keep then
    redis.call('ZADD', KEYS[1], expires, id)
    redis.call('PERSIST', KEYS[1])
end
return {'done'}
"""

# KEYS: the ids of all purges, this purge, its lists, the queue's lists. Once begun, the rest does not expire.
# What is renamed keeps the time at which it expires, so that is taken away.
PUT_BACK = """
local steps, most, done, left = (#KEYS - 2) / 2, tonumber(ARGV[1]), 0, 0
if redis.call('EXISTS', KEYS[2]) == 0 then return false end
redis.call('PERSIST', KEYS[2])
redis.call('HSET', KEYS[2], 'expires', 0)
redis.call('ZADD', KEYS[1], '+inf', ARGV[2])
for i = 1, steps do
    local from, to = KEYS[2 + i], KEYS[2 + steps + i]
    local length = redis.call('LLEN', from)
    redis.call('PERSIST', from)
    if length > 0 and redis.call('EXISTS', to) == 0 then
        redis.call('RENAME', from, to)
        done, length = done + length, 0
    end
    while length > 0 and done < most do
        redis.call('LMOVE', from, to, 'LEFT', 'RIGHT')
        done, length = done + 1, length - 1
    end
    left = left + length
end
if left == 0 then
    redis.call('DEL', KEYS[2])
    redis.call('ZREM', KEYS[1], ARGV[2])
end
return {done, left}
"""


@dataclass(frozen=True)
class Purge:
    """`counts`: (priority step, number of messages) of the steps that had messages.

    `id` is empty for one that was only looked at; `expires_at` is None if it can't be undone, and once its
    undo has begun.
    """

    id: str
    queue: str
    counts: tuple[tuple[int, int], ...]
    bytes: int
    at: dt.datetime | None = None
    expires_at: dt.datetime | None = None
    subject: str = ""

    @property
    def count(self) -> int:
        return sum(count for _, count in self.counts)

    @property
    def place(self) -> str:
        """Where it stands in the list of all, the oldest first."""
        return f"{self.at.isoformat() if self.at else ''} {self.id}"


@dataclass(frozen=True)
class Wish:
    """What is to be purged: `most` messages, 0 for all; `expected` is the length that the caller saw."""

    queue: str
    expected: int
    newer: bool = False
    most: int = 0
    keep: bool = True
    only_look: bool = False


class Purges:
    def __init__(self, client: redis.asyncio.Redis, layout: Layout, kept_seconds: int = KEPT_SECONDS) -> None:
        # redis-py's stubs leave open whether answers are text or bytes.
        self._client: Any = client
        self._layout = layout
        self._kept_seconds = kept_seconds
        self._purge: Any = client.register_script(PURGE)
        self._put_back: Any = client.register_script(PUT_BACK)

    async def purge(self, wish: Wish, subject: str, once: Once | None = None) -> Purge:
        """Purges the queue. `once`: a second call of the same request returns the purge of the first.

        Raises `FailedPrecondition` (QUEUE_LENGTH_CHANGED, PURGE_TOO_LARGE), and `Invalid` if another request
        had the same id.
        """
        purge_id = _id_of(once) if once else secrets.token_hex(16)
        digest = once.digest.hex() if once else ""
        steps = ",".join(map(str, self._layout.steps))
        told = ["queue", wish.queue, "subject", subject, "digest", digest, "steps", steps]
        flags = [int(wish.newer), wish.most, int(wish.keep), int(wish.only_look)]
        answer = await self._purge(
            _keys(self._layout, purge_id, wish.queue),
            [wish.expected, *flags, self._kept_seconds, MOST_BYTES, purge_id, _key(self._layout, ""), *told],
        )
        what = answer[0].decode()
        if what == "changed":
            raise _changed(wish, answer[1])
        if what == "large":
            raise _too_large(answer[1], answer[2])
        if what == "seen":
            return Purge("", wish.queue, _counts(self._layout.steps, answer[2:]), answer[1])
        fields = await self._fields(purge_id)
        if once:
            once.check(bytes.fromhex(fields[b"digest"].decode()))
        purge = _purge_of(purge_id, fields)
        if what == "done" and not wish.most and purge.at is not None:
            key = f"{self._layout.prefix}{EMPTIED}"
            await self._client.hset(key, wish.queue, purge.at.timestamp())
            await self._client.expire(key, EMPTIED_SECONDS)
        return purge

    async def get(self, purge_id: str) -> Purge:
        """Returns a purge that can be undone. Raises `NotFound`."""
        fields = await self._fields(purge_id)
        if await self._client.zscore(_ids(self._layout), purge_id) is None:
            raise _no_purge(purge_id)
        return _purge_of(purge_id, fields)

    async def all(self) -> Sequence[Purge]:
        """Returns the purges that can be undone, the oldest first."""
        found = []
        for purge_id in await self._client.zrange(_ids(self._layout), 0, -1):
            name = purge_id.decode(errors="replace")
            fields = await self._client.hgetall(_key(self._layout, name))
            if fields:
                found.append(_purge_of(name, fields))
        return sorted(found, key=lambda purge: purge.place)

    async def undo(self, purge: Purge) -> int:
        """Puts the messages back; returns how many. Raises `NotFound` if another call has done it."""
        # The steps that it was made with, whatever those of now are.
        layout = replace(self._layout, steps=_steps_of(await self._fields(purge.id)))
        keys, count = _keys(layout, purge.id, purge.queue), 0
        await self._client.hdel(f"{layout.prefix}{EMPTIED}", purge.queue)
        while True:
            answer = await self._put_back(keys, [PUT_BACK_AT_ONCE, purge.id])
            if answer is None:
                # Another call has put back the rest.
                return count
            count += int(answer[0])
            if answer[1] == 0:
                return count

    async def _fields(self, purge_id: str) -> Mapping[bytes, bytes]:
        fields: Mapping[bytes, bytes] = await self._client.hgetall(_key(self._layout, purge_id))
        if not fields:
            raise _no_purge(purge_id)
        return fields


async def emptied(client: Any, layout: Layout) -> Mapping[str, dt.datetime]:
    """Returns when queues were last purged whole, of those of a day, and were not undone.

    `client`: redis-py's, whose stubs leave open whether answers are text or bytes.
    """
    found: Mapping[bytes, bytes] = await client.hgetall(f"{layout.prefix}{EMPTIED}")
    return {
        queue.decode(errors="replace"): dt.datetime.fromtimestamp(float(at), dt.UTC)
        for queue, at in found.items()
    }


def _ids(layout: Layout) -> str:
    return f"{layout.prefix}celeriac:purges"


def _key(layout: Layout, purge_id: str) -> str:
    return f"{layout.prefix}celeriac:purged:{purge_id}"


def _keys(layout: Layout, purge_id: str, queue: str) -> list[str]:
    purge = _key(layout, purge_id)
    lists = [f"{purge}:{step}" for step in layout.steps]
    return [_ids(layout), purge, *lists, *layout.keys_of(queue)]


def _purge_of(purge_id: str, fields: Mapping[bytes, bytes]) -> Purge:
    expires = float(fields[b"expires"])
    return Purge(
        purge_id,
        fields[b"queue"].decode(),
        _counts(_steps_of(fields), fields[b"counts"].split(b",")),
        int(fields[b"bytes"]),
        dt.datetime.fromtimestamp(float(fields[b"at"]), dt.UTC),
        dt.datetime.fromtimestamp(expires, dt.UTC) if expires else None,
        fields[b"subject"].decode(),
    )


def _steps_of(fields: Mapping[bytes, bytes]) -> tuple[int, ...]:
    return tuple(map(int, fields[b"steps"].split(b",")))


def _counts(steps: Sequence[int], counts: Sequence[bytes | int]) -> tuple[tuple[int, int], ...]:
    return tuple((step, int(count)) for step, count in zip(steps, counts, strict=True) if int(count))


def _id_of(once: Once) -> str:
    """Returns the id of a request's purge: the same for the same scope and request id."""
    return hashlib.sha256(f"{once.scope}\0{once.request_id}".encode()).hexdigest()[:32]


def _no_purge(purge_id: str) -> NotFound:
    text = "it was undone already, or its ten minutes are over; ListPurges shows those that can be undone"
    return NotFound("purge", purge_id, f"there is no purge {purge_id!r}: {text}")


def _changed(wish: Wish, length: int) -> FailedPrecondition:
    text = f"{length} messages wait in the queue {wish.queue!r}, more than the {wish.expected} that were seen"
    return FailedPrecondition("QUEUE_LENGTH_CHANGED", f"{text}; look at them, then purge with the new length")


def _too_large(size: int, with_others: int) -> FailedPrecondition:
    text = f"the messages take about {size} bytes, {with_others} with those of other purges"
    advice = "purge fewer (count), or purge without_undo"
    return FailedPrecondition(
        "PURGE_TOO_LARGE", f"{text}; at most {MOST_BYTES} are kept for an undo; {advice}"
    )
