"""Records of gaps: one for each, however many monitors see it and however often."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import AsyncIterator

import pytest

from services.kernel.database import Database
from services.monitor.gaps.gap import EventGap, GapState
from services.monitor.gaps.store_gaps import GapStore, Repairs, delete_gaps_before
from services.monitor.gaps.store_listeners import ListenerStore
from services.monitor.intake.seen_gaps import GapCause, SeenGap

CUT, COUNT = GapCause.RELAY_CUT, GapCause.WORKER_COUNT


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    async with database.connection() as connection:
        await connection.execute("TRUNCATE celery_event_gaps, celery_event_listeners")
    yield database
    await database.close()


async def record(database: Database, *seen: SeenGap) -> list[bool]:
    """Whether each was new."""
    new = []
    for gap in seen:
        async with database.transaction() as connection:
            new.append((await GapStore(connection).record(gap))[1])
    return new


async def all_of(database: Database) -> list[EventGap]:
    async with database.reading() as connection:
        return list(await GapStore(connection).list([], None, 100))


def times(gap: EventGap) -> tuple[float, float]:
    return gap.started_at.timestamp(), gap.ended_at.timestamp()


async def repair(database: Database) -> None:
    async with database.connection() as connection:
        store = GapStore(connection)
        await store.repaired(await store.open(), "", True)


async def test_a_gap_that_is_seen_twice_is_one_record(database: Database) -> None:
    assert await record(database, SeenGap(CUT, 100, 110), SeenGap(CUT, 100, 110)) == [True, False]
    await repair(database)
    assert await record(database, SeenGap(CUT, 100, 110)) == [False]
    assert [(times(gap), gap.state) for gap in await all_of(database)] == [((100, 110), GapState.REPAIRED)]


async def test_a_gap_that_turns_out_longer_is_open_again(database: Database) -> None:
    await record(database, SeenGap(CUT, 100, 110, 3))
    await repair(database)
    assert await record(database, SeenGap(CUT, 105, 120, 2)) == [False]
    [gap] = await all_of(database)
    assert (times(gap), gap.state, gap.missed) == ((100, 120), GapState.OPEN, 3)


async def test_gaps_apart_or_of_another_cause_are_records_of_their_own(database: Database) -> None:
    await record(database, SeenGap(CUT, 100, 110), SeenGap(CUT, 111, 120))
    await record(database, SeenGap(GapCause.STREAM_FULL, 100, 110, 7))
    found = [(gap.cause, times(gap)) for gap in await all_of(database)]
    assert found == [(CUT, (111, 120)), (GapCause.STREAM_FULL, (100, 110)), (CUT, (100, 110))]


async def test_what_workers_count_is_told_of_the_gap_that_explains_it(database: Database) -> None:
    assert await record(database, SeenGap(CUT, 100, 110), SeenGap(COUNT, 105, 130, 4)) == [True, False]
    assert await record(database, SeenGap(COUNT, 200, 210, 9)) == [True]
    found = [(gap.cause, gap.missed) for gap in await all_of(database)]
    assert found == [(COUNT, 9), (CUT, 4)]


async def test_one_monitor_repairs_until_it_is_silent(database: Database) -> None:
    await record(database, SeenGap(CUT, 100, 110))
    one, other = uuid.uuid4(), uuid.uuid4()
    async with database.connection() as connection:
        store = GapStore(connection)
        assert len(await store.claim(one, 60)) == 1
        assert len(await store.claim(other, 60)) == 0
        assert len(await store.claim(one, 0)) == 1
        assert len(await store.claim(other, 60)) == 1


async def test_a_gap_that_grew_while_it_was_repaired_stays_open_and_its_counts_are_kept(
    database: Database,
) -> None:
    await record(database, SeenGap(CUT, 100, 110))
    async with database.connection() as connection:
        store = GapStore(connection)
        looked_at = await store.open()
        await store.count(looked_at[0].id, Repairs(3, 2, 1))
        await record(database, SeenGap(CUT, 110, 125))
        await store.repaired(looked_at, "", True)
    [gap] = await all_of(database)
    assert (gap.state, gap.from_results, gap.from_workers, gap.not_repairable) == (GapState.OPEN, 3, 2, 1)


async def test_old_gaps_go_once_they_are_repaired(database: Database) -> None:
    await record(database, SeenGap(CUT, 100, 110), SeenGap(CUT, 200, 210))
    await repair(database)
    await record(database, SeenGap(CUT, 50, 60))
    async with database.connection() as connection:
        deleted = await delete_gaps_before(connection, dt.datetime.fromtimestamp(150, dt.UTC), 10)
    assert deleted == 1
    assert [times(gap) for gap in await all_of(database)] == [(200, 210), (50, 60)]


async def test_the_newest_listener_is_remembered_however_old(database: Database) -> None:
    old, older = uuid.uuid4(), uuid.uuid4()
    async with database.connection() as connection:
        store = ListenerStore(connection)
        await store.note(old, dt.datetime.fromtimestamp(200, dt.UTC))
        await store.note(old, dt.datetime.fromtimestamp(150, dt.UTC))
        await store.note(older, dt.datetime.fromtimestamp(100, dt.UTC))
        await connection.execute("UPDATE celery_event_listeners SET seen_at = seen_at - interval '2 days'")
        await store.forget_old()
        found = await store.all()
    assert {name: each.heard_until.timestamp() for name, each in found.items()} == {old: 200}
