"""Events outlive the monitor: the relay keeps them, and a monitor reads on where rows were last written."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import redis
import redis.asyncio
from celeriac.monitor.v1 import tasks_pb2 as pb

from deploy.standalone.tokens import LocalIssuer
from services.kernel.broker_address import BrokerAddress
from services.kernel.database import Database
from services.kernel.endings import end
from services.kernel.sessions import Sessions, opened_sessions
from services.monitor.figures import Figures
from services.monitor.intake.intake import Bounds, Intake
from services.monitor.intake.kept_events import STREAM, Gap, KeptStream
from services.monitor.intake.kept_reader import KeptEvents
from services.monitor.intake.relay import EventRelay
from services.monitor.intake.seen_gaps import GapCause, SeenGaps
from services.monitor.intake.subscription import EventSource
from services.monitor.pace import Pace
from services.monitor.relaying import NO_STREAM
from services.monitor.tasks.store_listing import TaskFilter
from services.monitor.tasks.store_tasks import TaskStore
from services.monitor.tasks.tasks import Task
from services.monitor.workers.workers import WorkerTable
from tests.support.calls import eventually
from tests.support.events import CHANNEL, Life, event_message
from tests.support.metrics import scraped_value
from tests.support.monitors import Monitor, running_monitor
from tests.support.ports import free_port
from tests.support.processes import ROOT, environment_of
from tests.support.relays import RelayProcess, running_relay
from tests.support.servers import Valkey, temporary_valkey

QUICK = Pace().times(0.02)


@pytest.fixture(scope="module")
def store() -> Iterator[Valkey]:
    """The server of the stream: not the broker."""
    with temporary_valkey() as server:
        yield server


@pytest.fixture
def relay(certificates: Path, database_url: str, broker: Valkey, store: Valkey) -> Iterator[RelayProcess]:
    store.flush()
    environment = environment_of(
        "monitor", certificates, database_url, broker, CELERIAC_RELAY_URL=url_of(store)
    )
    with running_relay(environment, free_port()) as relay:
        yield relay


@pytest.fixture
def monitor(
    certificates: Path,
    tokens: LocalIssuer,
    database_url: str,
    broker: Valkey,
    store: Valkey,
    relay: RelayProcess,
) -> Iterator[Monitor]:
    with running_monitor(
        certificates, tokens, database_url, broker, CELERIAC_RELAY_URL=url_of(store)
    ) as monitor:
        eventually(lambda: figure(monitor, "celery_event_stream_up") == 1)
        yield monitor


def url_of(server: Valkey) -> str:
    return f"redis://{server.host}:{server.port}/0"


def publish(broker: Valkey, name: str, count: int) -> None:
    """Tasks of the name, from their sending to their success."""
    with redis.Redis(broker.host, broker.port) as client, client.pipeline(transaction=False) as pipeline:
        for _ in range(count):
            pipeline.publish(CHANNEL, event_message(Life(time.time() - 1, name=name).whole()))
        pipeline.execute()


def succeeded(monitor: Monitor, name: str) -> int:
    request = pb.ListTasksRequest(task_names=[name], states=[pb.TASK_STATE_SUCCESS], page_size=1000)
    return len(monitor.tasks.ListTasks(request).tasks)


def figure(monitor: Monitor, name: str) -> float:
    return scraped_value(monitor.metrics_port, name)


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "stopped"])
def test_what_was_published_while_the_monitor_was_away_is_there_when_it_is_back(
    monitor: Monitor, broker: Valkey, end: signal.Signals
) -> None:
    name = f"while {end.name}"
    publish(broker, name, 300)
    process = monitor.process.process
    assert process is not None
    process.send_signal(end)
    process.wait(30)
    publish(broker, name, 300)
    monitor.process.start()
    eventually(lambda: succeeded(monitor, name) == 600)
    assert figure(monitor, "celery_event_messages_missing_total") == 0
    assert figure(monitor, "celery_event_stream_cuts_total") == 0


def test_a_monitor_that_stands_still_misses_nothing(
    monitor: Monitor, broker: Valkey, relay: RelayProcess
) -> None:
    process = monitor.process.process
    assert process is not None
    process.send_signal(signal.SIGSTOP)
    try:
        publish(broker, "stood still", 500)
        eventually(lambda: relay.figure("celeriac_relay_messages_total") >= 500)
    finally:
        process.send_signal(signal.SIGCONT)
    eventually(lambda: succeeded(monitor, "stood still") == 500)
    assert figure(monitor, "celery_event_stream_cuts_total") == 0


def test_a_relay_that_is_killed_leaves_a_gap_which_is_told_and_nothing_else(
    monitor: Monitor, broker: Valkey, relay: RelayProcess
) -> None:
    publish(broker, "before", 10)
    eventually(lambda: succeeded(monitor, "before") == 10)
    relay.kill()
    relay.start()
    publish(broker, "after", 10)
    eventually(lambda: succeeded(monitor, "after") == 10)
    assert figure(monitor, "celery_event_stream_cuts_total") == 1
    assert figure(monitor, "celery_event_messages_missing_total") == 0


def test_what_is_written_is_dropped_from_the_stream(monitor: Monitor, broker: Valkey, store: Valkey) -> None:
    publish(broker, "dropped", 10)
    eventually(lambda: succeeded(monitor, "dropped") == 10)
    with redis.Redis(store.host, store.port) as client:
        eventually(lambda: client.xlen(STREAM) == 0)


def test_the_relay_says_what_it_lacks(certificates: Path, database_url: str, broker: Valkey) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "services.monitor", "relay"],
        env=environment_of("monitor", certificates, database_url, broker),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 1
    assert json.loads(ended.stderr.splitlines()[-1])["message"] == NO_STREAM


class Read:
    """What a reader of the stream was given, and what it was told."""

    def __init__(self, stream: KeptStream) -> None:
        self.messages: list[bytes] = []
        self.gaps: list[Gap] = []
        self.missing = 0
        self.seen = SeenGaps()
        self.unwritten_since: float | None = None
        self.events = KeptEvents(
            stream,
            on_listening=lambda: None,
            on_deaf=lambda: None,
            on_gap=self.gaps.append,
            on_missing=self._missing,
            seen=self.seen,
            pace=QUICK,
        )
        self._batches = self.events.batches()
        self._ask()

    async def end(self) -> None:
        await end([self._next])

    def _missing(self, messages: int) -> None:
        self.missing += messages

    async def until(self, count: int) -> None:
        """Reads until there are so many messages, and notes the place after them."""
        async with asyncio.timeout(20):
            while len(self.messages) < count:
                self.messages += await self._next
                # The place is passed when the next is asked for: then all is taken in.
                self._ask()
                await asyncio.sleep(0)
        self.events.note(self.events.written_before(self.unwritten_since))
        await self.events.note_last()

    def _ask(self) -> None:
        self._next = asyncio.ensure_future(anext(self._batches))


@asynccontextmanager
async def reading(stream: KeptStream) -> AsyncIterator[Read]:
    read = Read(stream)
    try:
        yield read
    finally:
        await read.end()


@pytest.fixture
async def stream(store: Valkey) -> AsyncIterator[KeptStream]:
    store.flush()
    async with redis.asyncio.Redis(host=store.host, port=store.port) as client:
        yield KeptStream(client)


def numbered(first: int, count: int) -> Sequence[bytes]:
    return [b'{"number": %d}' % number for number in range(first, first + count)]


async def test_an_entry_that_was_added_twice_is_taken_in_once(stream: KeptStream) -> None:
    await stream.add_messages("one", 0, numbered(0, 3))
    await stream.add_messages("one", 0, numbered(0, 3))
    await stream.add_messages("one", 3, numbered(3, 1))
    async with reading(stream) as read:
        await read.until(4)
    assert read.messages == numbered(0, 4)
    assert read.missing == 0


async def test_messages_that_are_gone_before_they_were_read_are_counted_exactly(stream: KeptStream) -> None:
    await stream.add_messages("one", 0, numbered(0, 2))
    async with reading(stream) as read:
        await read.until(2)
    await stream.add_messages("one", 2, numbered(2, 30))
    await stream.add_messages("one", 32, numbered(32, 1))
    await stream.drop_all_but(1)
    async with reading(stream) as read:
        await read.until(1)
    assert (read.messages, read.missing) == (numbered(32, 1), 30)
    assert [(gap.cause, gap.missed) for gap in read.seen.waiting()] == [(GapCause.STREAM_FULL, 30)]
    await stream.add_messages("two", 7, numbered(0, 1))
    async with reading(stream) as read:
        await read.until(1)
    assert read.missing == 7, "what another relay had heard before"


async def test_that_the_streams_server_has_lost_what_it_kept_is_seen_as_a_gap(
    stream: KeptStream, store: Valkey
) -> None:
    await stream.add_messages("one", 0, numbered(0, 2))
    async with reading(stream) as read:
        await read.until(2)
        store.flush()
        await stream.add_messages("one", 5, numbered(5, 1))
        await read.until(3)
        assert [(gap.cause, gap.missed) for gap in read.seen.waiting()] == [(GapCause.STREAM_LOST, 3)]
        store.flush()
        await stream.add_messages("two", 0, numbered(0, 1))
        await read.until(4)
    lost = read.seen.waiting()[-1]
    assert (lost.cause, lost.missed) == (GapCause.STREAM_LOST, None), "the relay before is forgotten"
    assert lost.since < lost.until


async def test_who_reads_next_begins_where_all_is_written(stream: KeptStream) -> None:
    await stream.add_messages("one", 0, numbered(0, 1))
    async with reading(stream) as first:
        await first.until(1)
        first.unwritten_since = time.monotonic()
        await stream.add_messages("one", 1, numbered(1, 1))
        await first.until(2)
    async with reading(stream) as second:
        await second.until(1)
    assert second.messages == numbered(1, 1), "it is taken in again until it is written"
    assert second.missing == 0


async def test_what_has_newlines_is_kept_as_the_same_json(stream: KeptStream) -> None:
    await stream.add_messages("one", 0, [b'{"a":\n1}', b"{}"])
    async with reading(stream) as read:
        await read.until(2)
    assert read.messages == [b'{"a": 1}', b"{}"]


async def test_an_entry_of_a_strangers_hand_is_passed_over(stream: KeptStream, store: Valkey) -> None:
    async with redis.asyncio.Redis(host=store.host, port=store.port) as client:
        await client.xadd(STREAM, {"what": "is this?"})
    await stream.add_messages("one", 0, numbered(0, 1))
    async with reading(stream) as read:
        await read.until(1)
    assert read.messages == numbered(0, 1)


@asynccontextmanager
async def running(relay: EventRelay) -> AsyncIterator[None]:
    task = asyncio.create_task(relay.run())
    try:
        async with asyncio.timeout(20):
            while not relay.listening:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_while_the_streams_server_is_away_messages_wait_and_none_is_lost(
    broker: Valkey, stream: KeptStream, store: Valkey
) -> None:
    relay = EventRelay(source_of(broker), stream, most_bytes=1 << 30, pace=QUICK)
    async with running(relay):
        store.stop()
        try:
            await asyncio.to_thread(publish, broker, "away", 20)
        finally:
            store.start()
        async with reading(stream) as read:
            await read.until(20)
    assert (len(read.messages), read.missing, read.gaps) == (20, 0, [])


async def test_of_a_stream_that_is_full_the_oldest_goes_and_is_counted(
    broker: Valkey, stream: KeptStream
) -> None:
    relay = EventRelay(source_of(broker), stream, most_bytes=1_000_000, pace=QUICK)
    async with running(relay):
        await asyncio.to_thread(publish, broker, "full", 1)
        async with reading(stream) as read:
            await read.until(1)
        await asyncio.to_thread(publish, broker, "full", 3_000)
        async with asyncio.timeout(20):
            while relay.copied < 3_001 or (await stream.keep(None, None, 0.0))[1] > 1_000_000:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        async with reading(stream) as read:
            await read.until(1)
            await read.until(3_000 - read.missing)
    assert 0 < read.missing < 3_000
    assert len(read.messages) + read.missing == 3_000


@asynccontextmanager
async def taking_in(
    broker: Valkey, stream: KeptStream, database: Database, figures: Figures
) -> AsyncIterator[Intake]:
    intake = Intake(
        source_of(broker),
        database,
        figures,
        WorkerTable(),
        on_tasks=lambda _: None,
        on_worker=lambda _: None,
        kept=stream,
        bounds=Bounds(tasks=1_000, sent_tasks=1_000, waiting_tasks=400),
        pace=QUICK,
    )
    task = asyncio.create_task(intake.run())
    try:
        yield intake
    finally:
        await end([task])


async def test_while_the_database_is_away_what_there_is_no_room_for_waits_in_the_stream(
    broker: Valkey, stream: KeptStream, database_url: str
) -> None:
    away, database = Database("postgresql://nobody@127.0.0.1:1/nothing"), Database(database_url)
    lives = [event_message(Life(time.time(), name="waited").whole()) for _ in range(1_500)]
    for first in range(0, 1_500, 100):
        await stream.add_messages("one", first, lives[first : first + 100])
    figures = Figures()
    async with taking_in(broker, stream, away, figures) as intake, asyncio.timeout(20):
        while len(intake.waiting_tasks) <= 300:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await asyncio.sleep(0)
        assert len(intake.waiting_tasks) == 400
    assert figures.tasks_dropped == 0
    async with taking_in(broker, stream, database, figures), opened_sessions(database) as sessions:
        deadline = time.monotonic() + 20
        while len(await waited(sessions)) < 1_500:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)
    await database.close()
    await away.close()


async def waited(sessions: Sessions) -> Sequence[Task]:
    async with sessions.reading() as session:
        return await TaskStore(session).list(TaskFilter(tasks=("waited",)), None, 10_000)


def source_of(broker: Valkey) -> EventSource:
    return EventSource(BrokerAddress(broker.host, broker.port))
