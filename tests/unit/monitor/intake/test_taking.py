"""Taking events in: whatever a program on the broker writes there."""

from __future__ import annotations

import datetime as dt
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kernel.database import Database
from services.monitor.intake.taking import Taking
from services.monitor.intake.task_writer import TaskWriter
from services.monitor.intake.writership import Writership
from services.monitor.tasks.redaction import Redaction
from services.monitor.tasks.table import TaskTable
from services.monitor.tasks.tasks import STATE_OF_TYPE, Task, TaskState
from services.monitor.totals.ledger import Ledger
from services.monitor.totals.tally import QUEUE_WAITS, SECONDS, WORKER_WAITS
from services.monitor.totals.totals import Totals
from services.monitor.workers.worker import Worker, WorkerState
from services.monitor.workers.workers import WorkerTable
from tests.support.events import Life, heartbeat
from tests.support.figures import RememberedFigures

T = 1_790_000_000.0
AWAY = "postgresql://nobody@127.0.0.1:1/nothing"


class Taken:
    def __init__(self) -> None:
        self.table, self.figures, self.workers = TaskTable(1_000, 1_000), RememberedFigures(), WorkerTable()
        self.tasks: list[Task] = []
        self.changed: list[Worker] = []
        database = Database(AWAY)
        writer = TaskWriter(
            database,
            self.figures,
            1_000,
            1_000_000,
            writership=Writership(database, Totals(database), Ledger(self.figures.take_changes)),
            written_before=lambda since: "",
            on_place=lambda place: None,
            on_others=lambda place: 0.0,
        )
        self._taking = Taking(
            self.table,
            writer,
            self.figures,
            self.workers,
            Redaction(),
            on_tasks=self.tasks.extend,
            on_worker=self.changed.append,
            on_unwatched=lambda _: None,
            wants=lambda _: True,
        )

    def take(self, *events: dict[str, Any]) -> None:
        self._taking.take_in([orjson.dumps(events)], 0.0)


@given(
    hostname=st.none()
    | st.integers(-5, 5)
    | st.text(st.characters(codec="utf-8"))
    | st.lists(st.text(st.characters(codec="utf-8")))
    | st.dictionaries(st.sampled_from("ab"), st.booleans()),
    pid=st.sampled_from([7, -7, 2**63, None, True, "7", [7]]),
)
def test_a_start_from_no_worker_that_is_known_counts_for_nobody_else(hostname: Any, pid: Any) -> None:
    taken = Taken()
    taken.take(heartbeat(T, 0), heartbeat(T + 2, 0))
    taken.take({**Life(T).started(), "hostname": hostname, "pid": pid})

    known = next(worker for worker in taken.workers.all() if worker.name.hostname == "celery@host")
    assert (known.started_heard, known.events_lost) == (0, 0)
    assert {task.state for task in taken.tasks} == {TaskState.STARTED}


def test_an_event_of_a_cancelled_task_that_names_no_task_is_about_something_else() -> None:
    taken = Taken()
    taken.take({"type": "task-cancelled", "timestamp": T}, Life(T).started())
    assert len(taken.tasks) == 1


def test_what_a_worker_sent_before_its_farewell_is_heard_before_it() -> None:
    taken = Taken()
    life = Life(T)
    farewell = {**heartbeat(T + 10, 1), "type": "worker-offline"}
    taken.take(life.received(), life.started(), life.succeeded(), farewell)
    assert [worker.state for worker in taken.changed] == [WorkerState.ONLINE, WorkerState.GONE]
    (worker,) = taken.workers.all()
    assert worker.started_heard == 1


def test_figures_and_states_do_not_depend_on_how_many_events_come_at_once() -> None:
    one_by_one, at_once = Taken(), Taken()
    lives = [Life(T + number, queue=f"q{number % 3}", name=f"n{number % 2}") for number in range(12)]
    events = [event for life in lives for event in life.whole()]
    for event in events:
        one_by_one.take(event)
    at_once.take(*events)
    assert at_once.figures.by_queue == one_by_one.figures.by_queue
    assert [(task.id, task.state) for task in at_once.tasks] == [
        (task.id, task.state) for task in one_by_one.tasks
    ]
    assert {(w.name, w.state, w.started_heard) for w in at_once.workers.all()} == {
        (w.name, w.state, w.started_heard) for w in one_by_one.workers.all()
    }


@pytest.mark.parametrize("requeue", [True, False])
@pytest.mark.parametrize("kind", STATE_OF_TYPE)
def test_no_secret_is_taken_in_from_an_event_of_any_type(kind: str, requeue: bool) -> None:
    """Any program can write any field into any event: so into one of a rejection an exception."""
    taken, secret = Taken(), "hunter2-Zq81x"
    fields = ("args", "kwargs", "result", "exception", "traceback")
    event = {"type": kind, "uuid": "a", "timestamp": T, "hostname": "h", "pid": 7, "requeue": requeue}
    taken.take(event | dict.fromkeys(fields, f"ValueError('password={secret}')"))
    assert taken.tasks and secret not in repr(taken.tasks)


def waits(taken: Taken) -> dict[tuple[str, str], float]:
    """By figure and queue, for how many seconds tries waited in all."""
    return {
        (figure, label): seconds
        for (figure, label, part), seconds in taken.figures.counts.items()
        if figure in (QUEUE_WAITS, WORKER_WAITS) and part == SECONDS
    }


def test_how_long_a_try_waited_is_known_from_its_sending_receipt_and_start() -> None:
    taken, life = Taken(), Life(T)
    sent, received, started = life.sent(), life.received(), life.started()
    received["timestamp"], started["timestamp"] = T + 3, T + 5
    taken.take({**sent, "timestamp": T}, received, started)
    assert waits(taken) == {(QUEUE_WAITS, "celery"): 3.0, (WORKER_WAITS, "celery"): 2.0}


def test_without_its_sending_only_the_wait_in_the_worker_is_known() -> None:
    taken, life = Taken(), Life(T)
    taken.take({**life.received(), "timestamp": T}, {**life.started(), "timestamp": T + 5})
    assert waits(taken) == {(WORKER_WAITS, ""): 5.0}


def test_a_retry_whose_sending_was_not_heard_has_not_waited_since_the_first_sending() -> None:
    taken, life = Taken(), Life(T)
    taken.take({**life.sent(), "timestamp": T}, {**life.received(), "timestamp": T + 1})
    taken.take({**life.received(1), "timestamp": T + 100})
    assert waits(taken) == {(QUEUE_WAITS, "celery"): 1.0}
    taken.take({**life.sent(), "retries": 2, "timestamp": T + 110})
    taken.take({**life.received(2), "timestamp": T + 114})
    assert waits(taken) == {(QUEUE_WAITS, "celery"): 5.0}


def test_until_its_eta_a_task_does_not_wait_for_its_worker() -> None:
    taken, life = Taken(), Life(T)
    eta = dt.datetime.fromtimestamp(T + 60, dt.UTC).isoformat()
    taken.take({**life.received(), "timestamp": T, "eta": eta}, {**life.started(), "timestamp": T + 62})
    assert waits(taken) == {(WORKER_WAITS, ""): 2.0}


def test_a_sending_that_is_heard_after_its_receipt_tells_the_wait_too() -> None:
    taken, life = Taken(), Life(T)
    taken.take({**life.received(), "timestamp": T + 3}, {**life.sent(), "timestamp": T})
    assert waits(taken) == {(QUEUE_WAITS, "celery"): 3.0}
