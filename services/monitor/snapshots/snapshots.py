"""Keeps the readings of measures, and thins them as they age.

1. Each reading is one row: of several monitors, the one that writes adds it.
2. When an hour is over, its readings become one block for each series, of 360 values.
3. When six hours are older than a day, their blocks become one of minutes; five days of minutes that are
   older than a month become one of hours; hours that are older than a year are deleted.

Each change takes rows out and puts others in, in one transaction: whoever comes later finds none, and a crash
in between changes nothing. At each end of an hour at most one block of time is thinned, and one deleted, so
that a clock that was set forward for a while can't have all thinned at once.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence

import structlog

from services.kernel.database import Database
from services.kernel.loops import UNTIL_WOKEN, Again, Loop
from services.kernel.outages import DATABASE_ERRORS
from services.monitor.measuring.measures import Reading
from services.monitor.pace import USUAL, Pace
from services.monitor.snapshots import packing
from services.monitor.snapshots.admission import Admission
from services.monitor.snapshots.packing import Block
from services.monitor.snapshots.steps import COARSER, EPOCH, FINEST, HOUR, STEPS, Step, slot_of
from services.monitor.snapshots.store_snapshots import Name, SnapshotStore, StoredBlock

log = structlog.get_logger(__name__)

# Readings that wait while the database is away: ten minutes of them.
MOST_WAITING = 60
# Series that are thinned in one transaction, and the pause after it, so that other work goes on.
AT_A_TIME, PAUSE_SECONDS = 100, 0.2
# Blocks of time that are deleted at one end of an hour for want of room.
MOST_FOR_ROOM = 20


class Snapshots:
    """Adds readings in its `loop`. `writes`: whether this monitor does. `most_bytes`: of all snapshots."""

    def __init__(
        self, database: Database, writes: Callable[[], bool], most_bytes: int, pace: Pace = USUAL
    ) -> None:
        self._database = database
        self._writes = writes
        self._most_bytes = most_bytes
        self._admission = Admission()
        # Those that are to be added; while the database is away, the newest of them wait for it.
        self._waiting: deque[tuple[dt.datetime, Mapping[Name, float]]] = deque(maxlen=MOST_WAITING)
        self._taken_at = self._hour = EPOCH
        # Numbers of series; forgotten at the end of an hour, as another monitor may delete some.
        self._series: dict[Name, int] = {}
        self._news = asyncio.Event()
        self.loop = Loop(
            "snapshots",
            self.add_all,
            every=pace.measure,
            outlives=DATABASE_ERRORS,
            woken=self._news,
            failed="snapshots.not_added",
        )

    async def take(self, reading: Reading) -> None:
        """Takes in a reading, which is then added if it is the first one of its step."""
        slot = slot_of(reading.time)
        if not self._writes() or slot == self._taken_at:
            return
        if FINEST.block_of(slot) != FINEST.block_of(self._taken_at):
            self._admission.renew()
        self._waiting.append((slot, self._admission.kept(reading)))
        self._taken_at = slot
        self._news.set()

    async def add_all(self) -> Again:
        """Adds the readings that wait. Raises the database's errors."""
        while self._waiting:
            first = self._waiting[0]
            await self._add(*first)
            # Another may have taken its place, if many wait.
            if self._waiting[0] is first:
                self._waiting.popleft()
        return UNTIL_WOKEN

    async def _add(self, slot: dt.datetime, values: Mapping[Name, float]) -> None:
        hour = FINEST.block_of(slot)
        if hour != self._hour:
            await self.upkeep(slot)
            self._series, self._hour = {}, hour
        async with self._database.connection() as connection:
            store = SnapshotStore(connection)
            missing = [name for name in values if name not in self._series]
            if missing:
                self._series |= await store.series(missing)
            packed = packing.pack_reading({self._series[name]: value for name, value in values.items()})
            await store.put_reading(slot, packed)

    async def upkeep(self, now: dt.datetime) -> None:
        """Does all that is due at the end of an hour."""
        while await self._close_hour(now):
            pass
        # The coarsest first: so nothing becomes coarser by more than one step.
        await self._drop(now)
        for step in reversed(COARSER):
            await self._thin(step, now)
        await self._make_room()

    async def _close_hour(self, now: dt.datetime) -> bool:
        """Makes blocks of the readings of the oldest hour, if it is over. Returns whether it did."""
        async with self._database.transaction() as connection:
            store = SnapshotStore(connection)
            oldest = await store.oldest_reading()
            if oldest is None or (began_at := FINEST.block_of(oldest)) + FINEST.span > now:
                return False
            readings = await store.take_readings(began_at, began_at + FINEST.span)
            blocks = await asyncio.to_thread(_blocks_of, readings, began_at)
            await _put(store, FINEST, began_at, blocks)
        return True

    async def _thin(self, step: Step, now: dt.datetime) -> None:
        """Thins the blocks of the oldest time, if that is old enough."""
        to = COARSER[step]
        async with self._database.connection() as connection:
            oldest = await SnapshotStore(connection).oldest_block(step)
        if oldest is None or (began_at := to.block_of(oldest)) + to.span > now - step.kept:
            return
        while True:
            async with self._database.transaction() as connection:
                store = SnapshotStore(connection)
                taken = await store.take_blocks(step, began_at, began_at + to.span, AT_A_TIME)
                if not taken:
                    break
                blocks = await asyncio.to_thread(_thinned, taken, began_at, step, to)
                await _put(store, to, began_at, blocks)
            if len(blocks) == AT_A_TIME:
                await asyncio.sleep(PAUSE_SECONDS)
        log.info("snapshots.thinned", to_seconds=to.seconds, began_at=began_at)

    async def _drop(self, now: dt.datetime) -> None:
        """Deletes the oldest blocks of hours, if they are too old, and series of which nothing is left."""
        async with self._database.transaction() as connection:
            store = SnapshotStore(connection)
            oldest = await store.oldest_block(HOUR)
            if oldest is not None and oldest + HOUR.span <= now - HOUR.kept:
                await store.drop_blocks(HOUR, oldest + HOUR.span)
                await store.forget_series()

    async def _make_room(self) -> None:
        """Deletes the oldest blocks while all of them take more than is allowed."""
        async with self._database.connection() as connection:
            if await SnapshotStore(connection).disk_bytes() <= self._most_bytes:
                return
        for _ in range(MOST_FOR_ROOM):
            async with self._database.transaction() as connection:
                store = SnapshotStore(connection)
                used, oldest = await store.used_bytes(), await _oldest(store)
                if used <= self._most_bytes or oldest is None:
                    return
                began_at, step = oldest
                until = began_at + step.span
                deleted = await store.drop_blocks(step, until)
            log.warning("snapshots.no_room", deleted=deleted, until=until, bytes=used)


async def _oldest(store: SnapshotStore) -> tuple[dt.datetime, Step] | None:
    """Returns the beginning and the step of the oldest blocks."""
    found = [(oldest, step) for step in STEPS if (oldest := await store.oldest_block(step)) is not None]
    return min(found, key=lambda each: each[0], default=None)


def _blocks_of(readings: Sequence[tuple[dt.datetime, bytes]], began_at: dt.datetime) -> Mapping[int, Block]:
    step = dt.timedelta(seconds=FINEST.seconds)
    placed = (((at - began_at) // step, packing.unpack_reading(points)) for at, points in readings)
    return packing.blocks_of(placed, FINEST)


def _thinned(
    taken: Sequence[StoredBlock], began_at: dt.datetime, step: Step, to: Step
) -> Mapping[int, Block]:
    finer: dict[int, dict[int, Block]] = defaultdict(dict)
    for each in taken:
        place = (each.began_at - began_at) // step.span
        finer[each.series][place] = packing.unpack_block(each.points, step)
    return {series: packing.thinned(blocks, step, to) for series, blocks in finer.items()}


async def _put(store: SnapshotStore, step: Step, began_at: dt.datetime, blocks: Mapping[int, Block]) -> None:
    """Adds blocks. What is there already stays, as when a clock was set back, and is filled up."""
    there = await store.blocks(sorted(blocks), step, began_at)
    whole = dict(blocks)
    for series, points in there.items():
        whole[series] = packing.merged(packing.unpack_block(points, step), blocks[series])
    await store.put_blocks(step, began_at, await asyncio.to_thread(_packed, whole))


def _packed(blocks: Mapping[int, Block]) -> Mapping[int, tuple[float, bytes]]:
    found = {}
    for series, block in blocks.items():
        told = packing.summary(block)
        if told is not None:
            found[series] = (told[1], packing.pack_block(block))
    return found
