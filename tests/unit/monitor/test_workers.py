"""Workers: their states by their beats, and what they say they did against what was heard."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kernel.errors import FailedPrecondition
from services.monitor.tasks.names import WorkerName
from services.monitor.workers.task_events import TaskEvents
from services.monitor.workers.worker import Worker, WorkerState, WorkerWarning
from services.monitor.workers.workers import MOST_GONE, MOST_WORKERS, HeardOfTasks, WorkerTable
from tests.support.events import heartbeat

T = 1_790_000_000.0
ONLINE, SILENT, GONE = WorkerState.ONLINE, WorkerState.SILENT, WorkerState.GONE


class Heard:
    """A table whose clock is the events' own."""

    def __init__(self) -> None:
        self.table = WorkerTable()

    def beat(
        self, second: float, processed: int, *, arrived: float | None = None, **more: Any
    ) -> Worker | None:
        event = heartbeat(T + second, processed, **more)
        wall = 0 if arrived is None else int((T + arrived) * 1e6)
        return self.table.hear(event["type"], int(event["timestamp"] * 1e6), event, second, wall)

    def task(self, second: float, pid: int = 7) -> Worker | None:
        heard = HeardOfTasks(int((T + second) * 1e6))
        return next(iter(self.table.hear_tasks({("celery@host", pid): heard}, second)), None)

    def answer(
        self, second: float, pid: int | None = 7, *, pool: str = "", asked_at: float | None = None
    ) -> Worker | None:
        asked = second if asked_at is None else asked_at
        name = WorkerName("celery@host", pid)
        return self.table.answered(name, second, int((T + second) * 1e6), asked, pool)

    def start(self, second: float, pid: int = 7, hostname: str = "celery@host") -> None:
        heard = HeardOfTasks(int((T + second) * 1e6))
        heard.started.append(heard.newest)
        self.table.hear_tasks({(hostname, pid): heard}, second)

    @property
    def only(self) -> Worker:
        (worker,) = self.table.all()
        return worker


def test_a_worker_is_what_its_beat_tells() -> None:
    heard = Heard()
    arrived = heard.beat(0, 0, kind="worker-online")
    assert arrived is not None and arrived.state is ONLINE
    assert heard.beat(2, 5, active=3) is None
    worker = heard.only
    assert (worker.name, worker.software_version) == (WorkerName("celery@host", 7), "5.7.0")
    assert str(worker.name) == "celery@host~7"
    assert (worker.active, worker.processed, worker.load_average) == (3, 5, (0.1, 0.2, 0.3))
    assert (heard.table.online(), heard.table.active()) == ([worker.name], 3)


def asked_beat(second: float) -> dict[str, Any]:
    """What a worker sends on Celery's command `heartbeat`: always "every 5 s", and no counts."""
    event = heartbeat(T + second, 0, freq=5)
    return {name: value for name, value in event.items() if name not in ("active", "processed", "loadavg")}


def test_a_beat_that_a_listener_asked_for_does_not_make_one_without_heartbeats_beat() -> None:
    """Flower and `celery events` ask all workers for a beat when they begin to listen."""
    heard = Heard()
    heard.task(0)
    heard.table.hear("worker-heartbeat", int((T + 10) * 1e6), asked_beat(10), 10.0)
    worker = heard.only
    assert (worker.state, worker.heartbeat_interval, worker.software) == (ONLINE, None, "py-celery")
    assert heard.table.sweep(55.0) == [], "it is a word all the same"
    assert [worker.state for worker in heard.table.sweep(55.1)] == [SILENT]


def test_a_beat_that_a_listener_asked_for_changes_no_count() -> None:
    heard = Heard()
    heard.beat(0, 5, active=3)
    heard.table.hear("worker-heartbeat", int((T + 1) * 1e6), asked_beat(1), 1.0)
    assert (heard.only.active, heard.only.processed, heard.only.heartbeat_interval) == (3, 5, 2.0)


def test_three_missed_beats_make_it_silent_once_and_thirty_make_it_gone_once() -> None:
    heard = Heard()
    heard.beat(0, 0)
    assert heard.table.next_sweep() == 6.0
    assert heard.table.sweep(6.0) == []
    (silent,) = heard.table.sweep(6.1)
    assert silent.state is SILENT and silent.active == 0
    assert heard.table.sweep(7.0) == []
    assert heard.table.sweep(60.0) == []
    (gone,) = heard.table.sweep(60.1)
    assert gone.state is GONE
    assert heard.table.sweep(61.0) == []
    back = heard.beat(62, 0)
    assert back is not None and back.state is ONLINE


def test_the_beats_that_are_missed_are_those_of_the_worker_itself() -> None:
    heard = Heard()
    heard.beat(0, 0, freq=10.0)
    assert heard.table.sweep(30.0) == []
    assert [worker.state for worker in heard.table.sweep(30.1)] == [SILENT]
    assert heard.table.sweep(300.0) == []
    assert [worker.state for worker in heard.table.sweep(300.1)] == [GONE]


def test_a_farewell_makes_it_gone_at_once_unless_a_newer_beat_was_heard() -> None:
    heard = Heard()
    heard.beat(2, 0)
    assert heard.beat(1, 0, kind="worker-offline") is None
    assert heard.only.state is ONLINE
    gone = heard.beat(3, 0, kind="worker-offline")
    assert gone is not None and gone.state is GONE
    assert heard.table.online() == []


def test_one_that_is_gone_is_shown_for_a_day() -> None:
    heard = Heard()
    heard.beat(0, 0)
    heard.table.sweep(100.0)
    heard.table.sweep(86_400.0)
    assert len(heard.table.all()) == 1
    heard.table.sweep(86_401.0)
    assert heard.table.all() == []
    assert heard.table.find(WorkerName("celery@host")) == []


def test_one_that_is_silent_is_kept_however_slow_its_heart_beats() -> None:
    heard = Heard()
    heard.beat(0, 0, freq=3600.0)
    heard.table.sweep(86_400.5)
    assert heard.only.state is SILENT


def test_started_events_that_never_came_are_counted() -> None:
    heard = Heard()
    heard.beat(0, 0)
    for second in (1.0, 1.1, 1.2):
        heard.start(second)
    heard.beat(2, 5)
    assert heard.table.lost() == 0, "they may still be on their way"
    heard.start(1.9)
    heard.start(3)
    heard.beat(4, 6)
    assert heard.table.lost() == 1
    assert (heard.only.started_heard, heard.only.events_lost) == (5, 1)


def test_events_made_before_the_first_beat_are_not_owed() -> None:
    heard = Heard()
    heard.beat(10, 1000)
    heard.start(9.9)
    heard.start(11)
    heard.beat(12, 1001)
    heard.beat(14, 1001)
    assert heard.table.lost() == 0


def test_a_worker_that_sends_no_task_events_has_lost_none() -> None:
    heard = Heard()
    for beat in range(10):
        heard.beat(beat * 2, beat * 100)
    assert heard.table.lost() == 0


def test_a_new_process_under_the_same_hostname_is_another_worker_and_what_was_lost_stays_counted() -> None:
    heard = Heard()
    heard.beat(0, 0)
    heard.start(1)
    heard.beat(2, 3)
    heard.beat(4, 3)
    assert heard.table.lost() == 2
    heard.beat(6, 0, pid=8, kind="worker-online")
    heard.beat(5, 3, pid=7)
    old, new = heard.table.all()
    assert (old.name.pid, old.started_heard, old.events_lost) == (7, 1, 2)
    assert (new.name.pid, new.started_heard, new.events_lost) == (8, 0, 0)
    assert heard.table.lost() == 2


def test_two_of_one_hostname_at_once_are_counted_each_by_itself() -> None:
    """Their beats and starts come in turn; the first loses two of its ten starts, the second none of ten."""
    heard = Heard()
    for number in range(11):
        for pid in (7, 8):
            if number and not (pid == 7 and number in (4, 5)):
                heard.start(number - 0.5, pid)
            heard.beat(number + pid / 100, number, pid=pid, active=pid)
    for second in (12, 14):
        for pid in (7, 8):
            heard.beat(second, 10, pid=pid, active=pid)
    one, two = heard.table.all()
    assert [str(worker.name) for worker in (one, two)] == ["celery@host~7", "celery@host~8"]
    assert (one.started_heard, one.events_lost, one.processed) == (8, 2, 10)
    assert (two.started_heard, two.events_lost, two.processed) == (10, 0, 10)
    assert (len(heard.table.online()), heard.table.active()) == (2, 15)
    gone = heard.beat(15, 10, pid=7, kind="worker-offline")
    assert gone is not None and gone.name.pid == 7
    assert [(worker.name.pid, worker.state) for worker in heard.table.all()] == [(7, GONE), (8, ONLINE)]


def test_a_worker_that_is_started_again_and_again_is_shown_the_last_ten_times() -> None:
    heard = Heard()
    for pid in range(100):
        heard.beat(pid, 0, pid=pid)
        heard.beat(pid + 0.5, 0, pid=pid, kind="worker-offline")
    assert {worker.name.pid for worker in heard.table.all()} == set(range(100 - MOST_GONE, 100))


def test_a_hostname_finds_its_workers_the_last_heard_of_first() -> None:
    heard = Heard()
    for second, pid in enumerate((7, 8, 9)):
        heard.beat(second, 0, pid=pid)
    heard.beat(4, 0, pid=8)
    heard.beat(5, 0, hostname="other@host")
    found = heard.table.find(WorkerName("celery@host"))
    assert [worker.name.pid for worker in found] == [8, 9, 7]
    assert [worker.name.pid for worker in heard.table.find(WorkerName("celery@host", 9))] == [9]
    assert heard.table.find(WorkerName("celery@host", 10)) == heard.table.find(WorkerName("none")) == []


@given(st.lists(st.booleans(), min_size=1, max_size=60), st.integers(1, 9))
def test_the_loss_is_exact(arrives: list[bool], tasks_a_beat: int) -> None:
    arrives = [True, *arrives]
    heard = Heard()
    heard.beat(0, 50)
    second = 0.0
    for number, comes in enumerate(arrives):
        second += 0.1
        if comes:
            heard.start(second)
        if number % tasks_a_beat == 0:
            second += 0.1
            heard.beat(second, 50 + number + 1)
    heard.beat(second + 1, 50 + len(arrives))
    heard.beat(second + 2, 50 + len(arrives))
    assert heard.table.lost() == arrives.count(False)


def test_the_table_is_bounded() -> None:
    heard = Heard()
    for number in range(MOST_WORKERS + 50):
        heard.beat(number / 1e6, 0, hostname=f"w{number}@host")
    assert len(heard.table.all()) == MOST_WORKERS


def test_nonsense_in_a_beat_is_left_out() -> None:
    heard = Heard()
    heard.beat(0, 2**70, freq="often", active=-3, loadavg=["high", 1], sw_ver=5)
    worker = heard.only
    assert (worker.heartbeat_interval, worker.active, worker.load_average) == (2.0, 0, (0.0, 1))
    assert (worker.software_version, worker.processed) == ("", 0)
    for pid in ("seven", -1, 2**63, True, None):
        heard.beat(1, 0, pid=pid)
    heard.beat(1, 0, hostname=None)
    assert len(heard.table.all()) == 1


def test_the_starts_of_a_worker_with_a_very_long_name_are_counted() -> None:
    heard = Heard()
    name = "celery@" + "x" * 300
    heard.table.hear("worker-heartbeat", int(T * 1e6), {**heartbeat(T, 0), "hostname": name}, 0.0)
    heard.start(1, hostname=name)
    assert heard.only.started_heard == 1


def test_any_event_of_its_tasks_makes_a_worker_known_and_online() -> None:
    heard = Heard()
    arrived = heard.task(0)
    assert arrived is not None and arrived.state is ONLINE
    assert (arrived.heartbeat_interval, arrived.active) == (None, 0)
    assert heard.task(1) is None
    heard.start(1)
    assert heard.only.started_heard == 1
    assert heard.table.online() == [WorkerName("celery@host", 7)]


def test_starts_before_the_first_beat_are_not_owed_and_hide_no_loss_after_it() -> None:
    heard = Heard()
    for second in (1, 2, 3):
        heard.task(second)
        heard.start(second)
    heard.beat(4, 3)
    heard.beat(6, 5)
    heard.beat(8, 5)
    assert heard.table.lost() == 2


def test_one_without_heartbeats_is_silent_after_three_calls_and_gone_after_an_hour() -> None:
    heard = Heard()
    heard.task(0)
    assert heard.table.sweep(45.0) == []
    assert [worker.state for worker in heard.table.sweep(45.1)] == [SILENT]
    assert heard.table.there() == [WorkerName("celery@host", 7)]
    assert heard.table.sweep(3600.0) == []
    assert heard.table.next_sweep() == 3600.0
    assert [worker.state for worker in heard.table.sweep(3600.1)] == [GONE]
    assert heard.table.there() == []


def test_one_without_heartbeats_whose_pool_leaves_it_free_to_answer_is_gone_as_soon_as_others() -> None:
    """Its processes run the tasks, and it answers meanwhile: so one that was killed is found out."""
    heard = Heard()
    heard.task(0)
    heard.answer(1, pool="prefork")
    assert [worker.state for worker in heard.table.sweep(47.0)] == [SILENT]
    assert heard.table.sweep(60.0) == []
    assert [worker.state for worker in heard.table.sweep(61.1)] == [GONE]


def test_a_busy_one_of_the_pool_solo_is_not_taken_for_dead_for_an_hour() -> None:
    heard = Heard()
    heard.beat(0, 0)
    heard.answer(1, pool="solo")
    assert [worker.state for worker in heard.table.sweep(10.0)] == [SILENT]
    assert heard.table.sweep(3000.0) == []
    assert heard.only.state is SILENT


def test_one_whose_hostname_another_process_has_taken_is_given_up_as_others_are() -> None:
    heard = Heard()
    heard.task(0)
    heard.beat(61, 0, pid=8)
    assert [(worker.name.pid, worker.state) for worker in heard.table.sweep(61.0)] == [(7, GONE)]


def test_an_event_made_before_the_farewell_does_not_bring_a_worker_back_and_one_after_it_does() -> None:
    heard = Heard()
    heard.beat(0, 0)
    heard.beat(2, 0, kind="worker-offline")
    assert heard.task(1.9) is None
    assert heard.only.state is GONE
    finishing = heard.task(3)
    assert finishing is not None and finishing.state is ONLINE
    assert [worker.state for worker in heard.table.sweep(9.1)] == [GONE], "it has said farewell"


def test_an_answer_is_a_word_of_the_process_that_it_names() -> None:
    heard = Heard()
    arrived = heard.answer(0, pool="prefork")
    assert arrived is not None
    assert (arrived.state, arrived.pool, arrived.clock_skew) == (ONLINE, "prefork", None)


def test_an_answer_that_names_no_process_is_the_word_of_the_only_one_that_is_there() -> None:
    heard = Heard()
    assert heard.answer(0, pid=None) is None
    assert heard.table.all() == []
    heard.beat(0, 0)
    heard.table.sweep(7.0)
    back = heard.answer(8, pid=None)
    assert back is not None and back.state is ONLINE
    heard.beat(8, 0, pid=8)
    heard.table.sweep(15.0)
    assert heard.answer(16, pid=None) is None


def test_an_answer_to_what_was_asked_before_the_farewell_does_not_bring_a_worker_back() -> None:
    heard = Heard()
    heard.beat(0, 0)
    heard.beat(2, 0, kind="worker-offline")
    assert heard.answer(2.5, asked_at=1.5) is None
    assert heard.only.state is GONE
    back = heard.answer(5, asked_at=4)
    assert back is not None and back.state is ONLINE


def test_two_that_run_at_once_under_one_hostname_are_warned_of_and_one_after_the_other_is_not() -> None:
    heard = Heard()
    heard.beat(0, 0, pid=7)
    heard.beat(2, 0, pid=8)
    assert [worker.warnings for worker in heard.table.all()] == [(), ()], "7 may have been killed"
    heard.beat(3, 0, pid=7)
    heard.beat(4, 0, pid=8)
    shared = (WorkerWarning.HOSTNAME_SHARED,)
    assert [worker.warnings for worker in heard.table.all()] == [shared, shared]
    heard.beat(5, 0, pid=7, kind="worker-offline")
    assert [worker.warnings for worker in heard.table.all()] == [(), ()]


@given(st.floats(-1e6, 1e6), st.lists(st.floats(0, 1.5), min_size=1, max_size=20))
def test_the_skew_is_that_of_the_event_that_came_soonest(ahead: float, late: list[float]) -> None:
    heard = Heard()
    for second, seconds in enumerate(late):
        heard.beat(second, 0, arrived=second - ahead + seconds)
    skew = heard.only.clock_skew
    assert skew is not None and abs(skew - (ahead - min(late))) < 1e-4
    far = abs(skew) > 2.0
    assert heard.only.warnings == ((WorkerWarning.CLOCK_SKEWED,) if far else ())


def test_the_skew_of_a_clock_that_was_set_right_is_forgotten_within_two_minutes() -> None:
    heard = Heard()
    for second in range(0, 200, 2):
        ahead = 60.0 if second < 20 else 0.0
        heard.beat(second, 0, arrived=second - ahead)
        if second < 20:
            assert heard.only.clock_skew == 60.0
    assert heard.only.clock_skew == 0.0
    assert heard.only.warnings == ()


def test_one_that_is_deleted_is_forgotten_and_what_it_lost_stays_counted() -> None:
    heard = Heard()
    heard.beat(0, 0)
    heard.start(1)
    heard.beat(2, 3)
    heard.beat(4, 3)
    name = WorkerName("celery@host", 7)
    with pytest.raises(FailedPrecondition):
        heard.table.delete(name, 5.0)
    heard.table.sweep(11.0)
    heard.table.delete(name, 12.0)
    assert heard.table.all() == heard.table.find(name) == []
    assert heard.table.lost() == 2
    back = heard.beat(20, 4)
    assert back is not None and back.state is ONLINE


def test_one_that_is_deleted_does_not_come_back_by_an_answer_to_an_older_command() -> None:
    heard, name = Heard(), WorkerName("celery@host", 7)
    heard.beat(0, 0)
    heard.table.sweep(11.0)
    heard.table.delete(name, 12.0)
    assert heard.table.answered(name, 12.5, 0, asked_at=11.5) is None and not heard.table.all()
    back = heard.table.answered(name, 14.0, 0, asked_at=13.0)
    assert back is not None and back.state is ONLINE


def test_task_events_are_on_with_the_first_and_off_when_tasks_are_run_without_any() -> None:
    heard = Heard()
    heard.beat(0, 0)
    seen = [heard.only.task_events]
    heard.task(1)
    for second, processed in ((2, 1), (4, 5), (6, 5)):
        heard.beat(second, processed)
        seen.append(heard.only.task_events)
    heard.task(7)
    # At 4 seconds they may still be on their way.
    on, off = TaskEvents.ON, TaskEvents.OFF
    assert [*seen, heard.only.task_events] == [TaskEvents.UNKNOWN, on, on, off, on]


def test_task_events_of_a_worker_without_tasks_stay_as_they_were() -> None:
    heard = Heard()
    for second in range(0, 40, 2):
        heard.beat(second, 7)
    before = heard.only.task_events
    heard.task(41)
    for second in range(42, 60, 2):
        heard.beat(second, 8)
    assert (before, heard.only.task_events) == (TaskEvents.UNKNOWN, TaskEvents.ON)


def test_what_a_worker_ran_before_it_was_told_to_send_events_is_not_lost() -> None:
    heard = Heard()
    for second in range(0, 10, 2):
        heard.beat(second, second * 10)
    heard.table.was_told(WorkerName("celery@host", 7))
    for started in (9.0, 9.5):
        heard.task(started)
        heard.start(started)
    for second in (10, 12, 14):
        heard.beat(second, 82)
    assert heard.table.lost() == 0


def test_a_worker_is_told_to_send_events_once_and_not_if_it_ever_did() -> None:
    heard = Heard()
    name = WorkerName("celery@host", 7)
    assert not heard.table.to_be_told(name), "it is not known"
    heard.beat(0, 0)
    assert heard.table.to_be_told(name)
    heard.table.was_told(name)
    assert not heard.table.to_be_told(name)
    heard.beat(0, 0, pid=8)
    heard.table.has_sent(WorkerName("celery@host", 8))
    assert not heard.table.to_be_told(WorkerName("celery@host", 8))
    heard.beat(1, 0, pid=9)
    assert not heard.table.to_be_told(WorkerName("celery@host", 9)), "the command would reach 8 as well"


def test_a_worker_is_told_of_revocations_once_and_again_when_it_starts_or_may_have_missed_one() -> None:
    heard, one, two = Heard(), WorkerName("celery@host", 7), WorkerName("celery@host", 8)
    heard.beat(0, 0)
    heard.beat(1, 0, pid=8)
    assert set(heard.table.to_be_told_of_revocations()) == {one, two}
    heard.table.told_of_revocations([one, two, WorkerName("celery@host", 9)])
    heard.beat(2, 0)
    assert heard.table.to_be_told_of_revocations() == []
    heard.beat(3, 0, kind="worker-online")
    assert heard.table.to_be_told_of_revocations() == [one], "its number may be that of the process before"
    heard.table.told_of_revocations([one])
    heard.table.missed_a_revocation([WorkerName("celery@host"), WorkerName("nobody")])
    assert set(heard.table.to_be_told_of_revocations()) == {one, two}
    heard.beat(4, 0, kind="worker-offline")
    assert heard.table.to_be_told_of_revocations() == [two], "one that is gone hears nothing"
