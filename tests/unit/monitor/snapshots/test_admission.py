"""Which subjects are kept, where there are more than there is room for."""

from __future__ import annotations

import datetime as dt

from services.monitor.measuring.measures import Reading, Values, whole
from services.monitor.snapshots.admission import Admission

NOW = dt.datetime(2026, 11, 24, tzinfo=dt.UTC)


def kept(admission: Admission, **values: Values) -> set[str]:
    return {name.subject for name in admission.kept(Reading(NOW, values))}


def test_the_busiest_workers_are_kept_whatever_else_is_large() -> None:
    active = {f"w{number}@x": float(number) for number in range(150)}
    memory = {f"w{number}@x": 1e9 / (number + 1) for number in range(150)}
    found = kept(Admission(), worker_active_tasks=active, worker_memory_bytes=memory)
    assert found == {f"w{number}@x" for number in range(50, 150)}


def test_those_that_were_kept_stay_until_the_hour_ends() -> None:
    admission = Admission()
    early = {f"early-{number}": 1.0 for number in range(200)}
    late = {f"late-{number}": 5.0 for number in range(200)}
    assert kept(admission, task_failed_per_second=early) == set(early)
    assert kept(admission, task_failed_per_second=early | late) == set(early)
    admission.renew()
    assert kept(admission, task_failed_per_second=early | late) == set(late)


def test_subjects_of_one_kind_take_no_room_of_another() -> None:
    queues = {f"q{number}": 1.0 for number in range(500)}
    found = kept(Admission(), queue_length=queues, active_tasks=whole(3), task_success_percent={"add": 100.0})
    assert len(found) == 200 + 2 and {"", "add"} <= found
