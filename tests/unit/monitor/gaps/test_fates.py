"""What is thought of a task that was found nowhere."""

from __future__ import annotations

import pytest

from services.monitor.gaps import learning
from services.monitor.gaps.fates import fate_of
from services.monitor.tasks.record import TaskRecord
from services.monitor.tasks.tasks import TaskState
from tests.support.events import Life

ENDED, ORPHANED, LOST = TaskState.ENDED, TaskState.ORPHANED, TaskState.LOST


def heard(*kinds: str) -> TaskRecord:
    life = Life(1000.0)
    record = TaskRecord(life.id)
    for kind in kinds:
        event = getattr(life, kind)()
        record.hear(event["type"], int(event["timestamp"] * 1e6), event)
    return record


@pytest.mark.parametrize(
    ("kinds", "worker_gone", "broker_lost", "fate"),
    [
        (["sent"], False, False, ENDED),
        (["sent"], False, True, LOST),
        (["sent", "received"], False, True, LOST),
        (["sent", "received"], True, False, ORPHANED),
        (["received", "started"], False, True, ENDED),
        (["received", "started"], True, True, ORPHANED),
        (["received", "started", "retried"], True, False, ENDED),
        (["received", "started", "retried"], True, True, LOST),
    ],
)
def test_its_message_is_lost_or_its_worker_is_gone_or_it_has_ended(
    kinds: list[str], worker_gone: bool, broker_lost: bool, fate: TaskState
) -> None:
    record = heard(*kinds)
    assert fate_of(record, lambda worker: worker_gone, lambda at: broker_lost) is fate
    assert learning.vanished(fate)(record)
    assert (record.state, record.state.ended, record.task_now().ended_at) == (fate, True, None)


def test_of_two_words_for_one_state_of_things_it_does_not_matter_which_came_first() -> None:
    one, other = heard("received", "started"), heard("received", "started")
    for record, fates in ((one, (ENDED, ORPHANED)), (other, (ORPHANED, ENDED))):
        for fate in fates:
            learning.vanished(fate)(record)
    assert one.state is other.state is ORPHANED
