"""Background loops: when steps are taken, what a loop outlives, what ends it, and what is told of it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any

import pytest
import structlog
from prometheus_client import CollectorRegistry

from services.kernel.loops import JITTER, SLACK, UNTIL_WOKEN, Again, Backoff, Heartbeat, Loop
from services.kernel.metrics import LoopMetrics
from tests.support.fast_clock import now, run_fast

HOUR = 3600.0


class Steps:
    """A step that notes when it was taken, then does what it is told for its number; else it succeeds."""

    def __init__(self, does: Callable[[int], Awaitable[object]] | None = None) -> None:
        self.times: list[float] = []
        self._does = does

    async def take(self) -> object:
        self.times.append(now())
        return await self._does(len(self.times)) if self._does else None

    @property
    def waits(self) -> list[float]:
        return [later - earlier for earlier, later in pairwise(self.times)]


class Away(Exception):
    pass


async def going(loop: Loop, seconds: float) -> None:
    """For so long, then cancelled. Raises what ended it before."""
    task = asyncio.create_task(loop.run())
    await asyncio.wait({task}, timeout=seconds)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def ran(steps: Steps, seconds: float, **options: Any) -> tuple[Loop, list[Any]]:
    """A loop that ran for so long, and what it logged."""

    async def run() -> Loop:
        loop = Loop("sweep", steps.take, **{"every": 10.0, "outlives": (Away,), **options})
        await going(loop, seconds)
        return loop

    with structlog.testing.capture_logs() as told:
        return run_fast(run()), list(told)


async def fail(_: int) -> object:
    raise Away("the database is away")


def about(seconds: float) -> Any:
    return pytest.approx(seconds, rel=JITTER + 1e-9)


def test_a_step_is_taken_at_once_and_then_after_each_interval_give_or_take_the_jitter() -> None:
    steps = Steps()
    ran(steps, HOUR)
    assert steps.times[0] == 0.0
    assert steps.waits == [about(10.0)] * len(steps.waits) and len(steps.waits) > 300
    assert max(steps.waits) - min(steps.waits) > JITTER * 10.0


def test_the_interval_begins_at_the_end_of_a_step() -> None:
    async def work(_: int) -> None:
        await asyncio.sleep(100.0)

    steps = Steps(work)
    ran(steps, HOUR)
    assert all(wait >= 100.0 + 10.0 * (1 - JITTER) for wait in steps.waits)


def test_a_loop_may_wait_for_its_interval_before_its_first_step() -> None:
    steps = Steps()
    ran(steps, HOUR, at_once=False)
    assert steps.times[0] == about(10.0)


def test_a_step_says_itself_when_it_wants_the_next_and_is_taken_at_its_word() -> None:
    async def soon(number: int) -> object:
        return Again(0.25 * number)

    steps = Steps(soon)
    ran(steps, 10.0)
    assert steps.waits == pytest.approx([0.25 * number for number in range(1, len(steps.times))])


def test_what_a_step_returns_beside_that_is_no_interval() -> None:
    async def count(_: int) -> object:
        return 3

    steps = Steps(count)
    ran(steps, HOUR)
    assert steps.waits == [about(10.0)] * len(steps.waits)


def test_steps_that_want_the_next_at_once_let_others_have_their_turn() -> None:
    async def at_once(_: int) -> object:
        return Again(0)

    async def both() -> None:
        loop = asyncio.create_task(Loop("busy", Steps(at_once).take, every=10.0).run())
        for _ in range(10):
            await asyncio.sleep(0)
        loop.cancel()

    run_fast(both())


def woken(after: float, steps: Steps, **options: Any) -> Loop:
    """A loop that is woken once, so long after its start."""

    async def run() -> Loop:
        event = asyncio.Event()
        asyncio.get_running_loop().call_later(after, event.set)
        loop = Loop("sweep", steps.take, woken=event, outlives=(Away,), **{"every": 10.0, **options})
        await going(loop, 9.0)
        return loop

    return run_fast(run())


def test_who_wakes_a_loop_does_not_wait_for_its_interval() -> None:
    steps = Steps()
    woken(3.0, steps)
    assert steps.times == [0.0, 3.0]


def test_a_loop_that_is_woken_during_a_step_takes_another_after_it() -> None:
    async def work(_: int) -> None:
        await asyncio.sleep(2.0)

    steps = Steps(work)
    woken(1.0, steps)
    assert steps.times == [0.0, 2.0]


def test_a_step_with_nothing_to_do_may_wait_until_the_loop_is_woken() -> None:
    async def idle(_: int) -> object:
        return UNTIL_WOKEN

    steps = Steps(idle)
    woken(8.0, steps, every=1.0)
    assert steps.times == [0.0, 8.0]


def test_while_it_backs_off_a_loop_is_not_woken() -> None:
    steps = Steps(fail)
    woken(1.0, steps, retry=Backoff(4.0, 4.0))
    assert steps.waits == [about(4.0)] * 2


def test_each_fault_that_a_loop_outlives_is_one_line_of_its_log_and_the_next_step_comes() -> None:
    async def fail_twice(number: int) -> object:
        if number < 3:
            raise Away
        return None

    steps = Steps(fail_twice)
    _, told = ran(steps, 60.0, failed="tables.not_swept")
    assert len(steps.times) > 4
    assert [(each["event"], each["log_level"], each["loop"]) for each in told] == [
        ("tables.not_swept", "warning", "sweep")
    ] * 2
    assert "Away" in told[0]["error"]
    assert [each["retry_seconds"] for each in told] == pytest.approx(steps.waits[:2], abs=0.001)


def test_while_its_step_fails_a_loop_backs_off_up_to_a_bound() -> None:
    steps = Steps(fail)
    ran(steps, HOUR, retry=Backoff(0.5, 30.0))
    doubled = [0.5 * 2**power for power in range(6)]
    assert steps.waits[:6] == [about(seconds) for seconds in doubled]
    assert steps.waits[6:] == [about(30.0)] * len(steps.waits[6:])


def test_a_bound_holds_however_often_a_step_has_failed() -> None:
    assert Backoff(0.1, 5.0).after(100_000) == 5.0


def test_after_a_success_the_backoff_begins_anew() -> None:
    async def fail_but_for_the_fourth(number: int) -> object:
        return Again(1.0) if number == 4 else await fail(number)

    steps = Steps(fail_but_for_the_fourth)
    ran(steps, 10.0, retry=Backoff(0.5, 30.0))
    assert steps.waits[:5] == [about(0.5), about(1.0), about(2.0), pytest.approx(1.0), about(0.5)]


def test_a_long_step_that_tells_of_its_success_begins_the_backoff_anew() -> None:
    async def run() -> list[float]:
        async def session() -> None:
            times.append(now())
            if len(times) == 4:
                loop.heartbeat.succeeded()
            raise Away

        times: list[float] = []
        loop = Loop("stream", session, every=1.0, outlives=(Away,), retry=Backoff(0.5, 30.0))
        await going(loop, 10.0)
        return [later - earlier for earlier, later in pairwise(times)]

    assert run_fast(run())[:5] == [about(0.5), about(1.0), about(2.0), about(0.5), about(1.0)]


def test_a_fault_that_comes_in_a_group_is_outlived_too_and_told_by_its_name() -> None:
    async def fail_in_a_group(_: int) -> object:
        raise ExceptionGroup("tasks", [ExceptionGroup("more tasks", [Away()])])

    steps = Steps(fail_in_a_group)
    _, told = ran(steps, 60.0)
    assert len(steps.times) > 4
    assert "Away" in told[0]["error"]


async def slip(_: int) -> object:
    raise KeyError("a slip of ours")


async def slip_beside_a_fault(_: int) -> object:
    raise ExceptionGroup("tasks", [Away(), KeyError("a slip of ours")])


def test_any_other_fault_ends_the_loop_as_it_is() -> None:
    with pytest.raises(KeyError):
        ran(Steps(slip), 60.0)


def test_a_fault_that_a_loop_outlives_does_not_hide_another_beside_it() -> None:
    with pytest.raises(ExceptionGroup) as raised:
        ran(Steps(slip_beside_a_fault), 60.0)
    assert raised.group_contains(KeyError) and not raised.group_contains(Away)


def test_a_fault_that_comes_beside_a_slip_is_logged_and_counted_before_the_slip_ends_the_loop() -> None:
    loop = Loop("sweep", Steps(slip_beside_a_fault).take, every=10.0, outlives=(Away,), failed="not_swept")
    with structlog.testing.capture_logs() as told, pytest.raises(ExceptionGroup):
        run_fast(going(loop, 60.0))
    assert [(line["event"], line["loop"], "Away" in line["error"]) for line in told] == [
        ("not_swept", "sweep", True)
    ]
    assert loop.heartbeat.failures == 1


async def wait_for_ever(_: int) -> object:
    return await asyncio.Event().wait()


@pytest.mark.parametrize("does", [None, fail, wait_for_ever])
@pytest.mark.parametrize("retry", [None, Backoff(10.0, 10.0)])
def test_a_cancellation_ends_a_loop_at_once_in_a_step_or_between_two(
    does: Callable[[int], Awaitable[object]] | None, retry: Backoff | None
) -> None:
    async def cancelled() -> tuple[float, bool]:
        loop = Loop("sweep", Steps(does).take, every=10.0, outlives=(Away,), retry=retry)
        task = asyncio.create_task(loop.run())
        await asyncio.sleep(5.0)
        task.cancel()
        await asyncio.wait({task}, timeout=60.0)
        return now(), task.cancelled()

    assert run_fast(cancelled()) == (5.0, True)


def test_a_group_that_failed_after_its_last_line_ends_no_loop() -> None:
    """asyncio then cancels the task for a moment, and leaves `Task.cancelling()` above zero."""

    async def fail_late(_: int) -> object:
        async def late() -> None:
            await asyncio.sleep(1.0)
            raise Away

        async with asyncio.TaskGroup() as group:
            group.create_task(late())
        return None

    steps = Steps(fail_late)
    loop, _ = ran(steps, 60.0)
    assert len(steps.times) > 4 and loop.heartbeat.failures > 4


def test_the_last_success_stands_still_while_a_loop_fails_and_failures_are_counted() -> None:
    clock = 1_000.0
    heartbeat = Heartbeat("sweep", lambda: clock)
    clock = 1_010.0
    heartbeat.succeeded()
    clock = 1_020.0
    heartbeat.failed()
    heartbeat.failed()
    assert (heartbeat.last_success, heartbeat.failures) == (1_010.0, 2)
    heartbeat.succeeded()
    assert (heartbeat.last_success, heartbeat.failures) == (1_020.0, 2)


def test_before_its_first_success_a_loop_counts_from_when_it_was_made() -> None:
    clock = 1_000.0
    heartbeat = Heartbeat("sweep", lambda: clock)
    clock = 1_500.0
    heartbeat.failed()
    assert heartbeat.last_success == 1_000.0


def test_a_loop_counts_its_steps_that_fail_and_its_successes_at_their_time() -> None:
    async def fail_twice(number: int) -> object:
        return await fail(number) if number < 3 else None

    failing, _ = ran(Steps(fail), 60.0)
    assert failing.heartbeat.failures_in_a_row == failing.heartbeat.failures > 4
    well, _ = ran(Steps(fail_twice), 60.0)
    assert (well.heartbeat.failures, well.heartbeat.failures_in_a_row) == (2, 0)


def test_a_loop_that_waits_for_work_is_well_all_that_time_and_no_longer() -> None:
    async def idle(_: int) -> object:
        return UNTIL_WOKEN

    async def run() -> list[bool]:
        loop = Loop("watch", Steps(idle).take, every=0.0, woken=asyncio.Event())
        task = asyncio.create_task(loop.run())
        await asyncio.sleep(1.0)
        during = loop.heartbeat.idle
        task.cancel()
        await asyncio.wait({task})
        return [during, loop.heartbeat.idle]

    assert run_fast(run()) == [True, False]
    clock = 1_000.0
    heartbeat = Heartbeat("watch", lambda: clock)
    heartbeat.idle = True
    clock = 9_000.0
    assert heartbeat.last_success == 9_000.0


def test_prometheus_is_told_of_each_loop_as_it_is_when_it_asks() -> None:
    clock = 1_000.0
    registry = CollectorRegistry()
    sweep, watch = Heartbeat("sweep", lambda: clock), Heartbeat("watch", lambda: clock)
    LoopMetrics(registry, [sweep, watch])
    clock = 1_030.5
    watch.succeeded()
    sweep.failed()

    def told(name: str, loop: str) -> float | None:
        return registry.get_sample_value(name, {"loop": loop})

    assert told("celeriac_loop_last_success_seconds", "sweep") == 1_000.0
    assert told("celeriac_loop_last_success_seconds", "watch") == 1_030.5
    assert told("celeriac_loop_failures_total", "sweep") == 1.0
    assert told("celeriac_loop_failures_total", "watch") == 0.0


def test_a_loop_that_rests_is_not_late_and_one_whose_step_hangs_is() -> None:
    async def hang(number: int) -> object:
        if number == 2:
            await asyncio.sleep(HOUR)
        return None

    async def run() -> list[float]:
        loop = Loop("sweep", Steps(hang).take, every=600.0)
        loop.heartbeat = Heartbeat("sweep", now)
        task, found = asyncio.create_task(loop.run()), []
        for seconds in (500.0, 400.0):
            await asyncio.sleep(seconds)
            found.append(loop.heartbeat.late)
        task.cancel()
        return found

    resting, hanging = run_fast(run())
    assert resting == 0.0
    assert hanging == pytest.approx(300.0, rel=0.2)


def test_a_loop_that_fails_again_and_again_is_late_and_one_that_waits_to_be_woken_is_not() -> None:
    clock = 0.0
    failing, idle = Heartbeat("failing", lambda: clock), Heartbeat("idle", lambda: clock)
    failing.succeeded(rests=10.0)
    idle.idle = True
    since = [failing.failing_since]
    for seconds in (20.0, 40.0, 60.0):
        clock = seconds
        failing.begins()
        failing.failed()
        assert failing.late == 0.0
        since.append(failing.failing_since)
    clock = 75.0
    assert (failing.late, idle.late) == (65.0, 0.0)
    failing.succeeded()
    assert failing.late == 0.0
    assert [*since, failing.failing_since, idle.failing_since] == [None, 10.0, 10.0, 10.0, None, None]


def test_a_step_that_is_woken_from_a_long_rest_is_late_from_then_on() -> None:
    clock = 0.0
    heartbeat = Heartbeat("sweep", lambda: clock)
    heartbeat.succeeded(rests=HOUR)
    clock = 100.0
    heartbeat.begins()
    clock = 200.0
    assert heartbeat.late == 100.0


def test_a_patient_loop_warns_only_of_failures_that_last() -> None:
    async def run() -> None:
        loop = Loop("sweep", Steps(fail).take, every=10.0, outlives=(Away,), patience=35.0)
        loop.heartbeat = Heartbeat("sweep", now)
        await going(loop, 100.0)

    with structlog.testing.capture_logs() as told:
        run_fast(run())
    levels = [line["log_level"] for line in told]
    assert set(levels[:3]) == {"info"} and set(levels[5:]) == {"warning"}


def test_loops_that_are_idle_together_come_to_take_their_steps_together() -> None:
    async def run() -> list[Steps]:
        all_steps = [Steps() for _ in range(8)]
        async with asyncio.TaskGroup() as group:
            for number, steps in enumerate(all_steps):
                every = 10.0 if number % 2 else 25.0
                loop = Loop(f"loop {number}", steps.take, every=every, woken=asyncio.Event())
                group.create_task(going(loop, HOUR))
                await asyncio.sleep(1.3)
        return all_steps

    all_steps = run_fast(run())
    assert all(
        (1 - SLACK) * (1 - JITTER) * every - 1e-6 <= wait <= (1 + JITTER) * every + 1e-6
        for number, steps in enumerate(all_steps)
        for every in [10.0 if number % 2 else 25.0]
        for wait in steps.waits
    )
    moments = {round(time, 3) for steps in all_steps for time in steps.times if time > HOUR / 2}
    taken = sum(time > HOUR / 2 for steps in all_steps for time in steps.times)
    # By chance they come together sooner or later; apart, there would be as many moments as steps.
    assert len(moments) < taken / 2


def test_a_step_that_asked_for_its_time_is_not_taken_early_with_another() -> None:
    async def again(_: int) -> object:
        return Again(10.0)

    async def run() -> list[float]:
        steps, other = Steps(again), Loop("other", Steps().take, every=1.0)
        await asyncio.gather(going(Loop("exact", steps.take, every=1.0), HOUR), going(other, HOUR))
        return steps.waits

    waits = run_fast(run())
    assert waits == [pytest.approx(10.0)] * len(waits) and len(waits) > 300
