"""WatchSchedules: how far a backfill is, from its beginning to its end."""

from __future__ import annotations

import pytest
from celeriac.schedule_watch import watch_schedules
from celeriac.scheduler.v1 import schedules_pb2 as pb

from tests.support.backfills import RUNNING, Hourly
from tests.support.calls import eventually
from tests.support.schedulers import Scheduler
from tests.support.servers import Valkey
from tests.support.watch_clients import target_of, until
from tests.support.watchers import Watcher, watching

DONE, CANCELLED = pb.BACKFILL_STATE_DONE, pb.BACKFILL_STATE_CANCELLED


@pytest.fixture
def scheduler(lone_scheduler: Scheduler) -> Scheduler:
    return lone_scheduler


def told(watcher: Watcher) -> list[pb.Backfill]:
    return [message.backfill for message in watcher.seen if message.HasField("backfill")]


def test_a_backfill_is_told_as_it_begins_and_as_it_ends(scheduler: Scheduler, valkey: Valkey) -> None:
    hourly, other = Hourly(scheduler, valkey), Hourly(scheduler, valkey)
    with watching(scheduler, names=[hourly.name]) as watcher:
        begun = hourly.begin(12, rate=10)
        other.ended(other.begin(3))
        ended = hourly.ended(begun)
        eventually(lambda: told(watcher)[-1:] == [ended])
        # Its runs are told beside it, as any others.
        eventually(lambda: len({run.name for run in watcher.runs(hourly.name)}) == 12)
    assert {each.name for each in told(watcher)} == {begun.name}
    assert (ended.state, ended.sent_count) == (DONE, 12)
    assert told(watcher)[0].state == RUNNING


def test_each_step_is_told_while_it_goes_on(scheduler: Scheduler, valkey: Valkey) -> None:
    hourly = Hourly(scheduler, valkey)
    with watching(scheduler, names=[hourly.name], without_runs=True) as watcher:

        def sent() -> list[int]:
            return [each.sent_count for each in told(watcher)]

        # As many as it takes: where the machine is busy, a step may be told as a later one.
        begun = hourly.begin(300, rate=5)
        eventually(lambda: len(set(sent())) >= 4)
        scheduler.schedules.CancelBackfill(pb.CancelBackfillRequest(name=begun.name))
    assert sent() == sorted(sent())


@pytest.mark.parametrize("paused", [False, True])
def test_a_backfill_that_is_ended_early_is_told_with_the_reason(
    scheduler: Scheduler, valkey: Valkey, paused: bool
) -> None:
    hourly = Hourly(scheduler, valkey)
    with watching(scheduler, names=[hourly.name], without_runs=True, without_schedules=True) as watcher:
        begun = hourly.begin(100, rate=0.5)
        if paused:
            scheduler.schedules.PauseSchedule(pb.PauseScheduleRequest(name=hourly.name))
        else:
            scheduler.schedules.CancelBackfill(pb.CancelBackfillRequest(name=begun.name))
        eventually(lambda: [each.state for each in told(watcher)[-1:]] == [CANCELLED])
        assert told(watcher)[-1] == hourly.get(begun)
        assert told(watcher)[-1].note == ("the schedule was paused" if paused else "cancelled by mei")
        assert {message.WhichOneof("event") for message in watcher.seen[1:]} == {"backfill"}


def test_a_backfill_of_which_nothing_is_left_to_send_is_told_as_done(
    scheduler: Scheduler, valkey: Valkey
) -> None:
    hourly = Hourly(scheduler, valkey)
    hourly.ended(hourly.begin(2))
    with watching(scheduler, names=[hourly.name], without_runs=True) as watcher:
        empty = hourly.begin(2)
        eventually(lambda: told(watcher))
        assert told(watcher) == [empty]
        assert (empty.state, empty.run_count) == (DONE, 0)


def test_who_wants_none_or_those_of_another_schedule_is_told_none(
    scheduler: Scheduler, valkey: Valkey
) -> None:
    hourly, other = Hourly(scheduler, valkey), Hourly(scheduler, valkey)
    with (
        watching(scheduler) as everything,
        watching(scheduler, without_backfills=True) as without,
        watching(scheduler, names=[other.name]) as of_other,
        watching(scheduler, names=[hourly.name], without_backfills=True) as named_without,
    ):
        ended = hourly.ended(hourly.begin(2))
        eventually(lambda: told(everything)[-1:] == [ended])
        for each in (hourly, other):
            scheduler.schedules.PauseSchedule(pb.PauseScheduleRequest(name=each.name))
        eventually(lambda: len(without.schedules()) == 2)
        eventually(lambda: of_other.schedules() and named_without.schedules())
        assert told(without) == told(of_other) == told(named_without) == []


def test_who_came_back_is_told_how_far_it_is_and_who_wants_none_is_told_none(
    scheduler: Scheduler, valkey: Valkey
) -> None:
    hourly, gone = Hourly(scheduler, valkey), Hourly(scheduler, valkey)
    with watching(scheduler) as before:
        cursor = before.cursor
    ended = hourly.ended(hourly.begin(4))
    gone.ended(gone.begin(4))
    scheduler.schedules.DeleteSchedule(pb.DeleteScheduleRequest(name=gone.name))
    names = [hourly.name, gone.name]
    with (
        watching(scheduler, cursor=cursor, names=names) as after,
        watching(scheduler, cursor=cursor, names=names, without_backfills=True) as without,
    ):
        for watcher in (after, without):
            eventually(lambda watcher=watcher: (3, gone.name) in watcher.schedules())
    # As it is when it is told; that of a schedule that is gone is gone, too.
    assert told(after) and all(each == ended for each in told(after))
    assert told(without) == []


async def test_the_client_hands_it_on(scheduler: Scheduler, valkey: Valkey) -> None:
    hourly = await until(lambda: Hourly(scheduler, valkey))
    async with target_of(scheduler).channel() as channel:
        messages = watch_schedules(channel, names=[hourly.name], without_runs=True)
        assert (await anext(messages)).WhichOneof("event") is None
        begun = await until(lambda: hourly.begin(3))
        async for message in messages:
            assert message.backfill.name == begun.name
            if message.backfill.state == DONE:
                break
        await messages.aclose()
    assert message.backfill.sent_count == 3
