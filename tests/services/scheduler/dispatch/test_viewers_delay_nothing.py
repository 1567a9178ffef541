"""Whatever a viewer asks for, and with however many calls at once, runs are published in time.

How late runs are says more of the machine than of the code. So each method's load is followed by a foreign
one, processes that use as much CPU as the calls did; runs may be twice as late under calls as beside those.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import itertools
import os
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from celeriac.scheduler.v1 import schedules_pb2 as pb
from celeriac.scheduler.v1 import schedules_pb2_grpc

from deploy.standalone.tokens import LocalIssuer
from tests.support.calls import eventually
from tests.support.cpu_load import burning, cpu_seconds, parent_of
from tests.support.schedulers import Scheduler
from tests.support.servers import Valkey
from tests.support.sql import fetch_sync
from tests.support.viewer_calls import FILL, WORST, viewer_methods

# Ratios of times: nothing else may use the machine meanwhile.
pytestmark = pytest.mark.alone

CALLERS = 8
ROUND_SECONDS = 1.2
# A method that seems to delay runs is looked at so often before that is believed.
ROUNDS = 5
# One due time each 20 ms.
TICKS = """
    INSERT INTO celery_schedules (id, task, args_json, kwargs_json, queue, priority, headers,
        interval_seconds, anchor, time_zone, description, labels, paused, pause_note, next_run_at)
    SELECT 'tick-' || n, 'tick', '[]', '{}', 'ticks', 0, '{}', 1, at, 'UTC', '', '{}', false, '', at
    FROM generate_series(0, 49) AS n, LATERAL (
        SELECT date_trunc('second', now()) + interval '1 second' + n * interval '20 ms' AS at
    ) AS first
"""
LATE = """
    SELECT extract(epoch FROM published_at - due_at)::float8 AS late FROM celery_schedule_runs_seen
    WHERE schedule_id LIKE 'tick-%' AND due_at >= $1 AND due_at < $2
"""


def test_each_method_that_a_viewer_may_call_has_its_dearest_request_stated() -> None:
    """A new one needs a line in tests/support/viewer_calls.py: then it is measured below."""
    assert viewer_methods().keys() == WORST.keys()


@dataclass
class Load:
    """Callers of one scheduler, whose lateness is looked up in its database."""

    scheduler: Scheduler
    credentials: grpc.CallCredentials
    database_url: str
    cursor: str
    # Of the scheduler, its broker and the callers; and who has PostgreSQL's processes for children.
    pids: tuple[int, ...]
    postmaster: int

    def called(self, method: str) -> Callable[..., Any]:
        """A viewer's call of the method, from bytes to bytes."""
        channel = self.scheduler.channel
        call: Any = (channel.unary_stream if viewer_methods()[method] else channel.unary_unary)(method)
        return functools.partial(call, credentials=self.credentials)

    def calls(self, method: str, seconds: float) -> None:
        """Eight callers, who each call again as soon as they are answered, or refused."""
        ends, call = time.monotonic() + seconds, self.called(method)

        def caller(number: int) -> None:
            for count in itertools.count():
                left = ends - time.monotonic()
                if left <= 0:
                    return
                request = WORST[method](number, count, self.cursor).SerializeToString()
                with contextlib.suppress(grpc.RpcError):
                    answer = call(request, timeout=left)
                    if viewer_methods()[method]:
                        for _ in answer:
                            pass

        callers = [threading.Thread(target=caller, args=(number,)) for number in range(CALLERS)]
        for each in callers:
            each.start()
        for each in callers:
            each.join()

    def cpu_seconds(self) -> float:
        return cpu_seconds(self.pids, [self.postmaster])

    def lateness(self, begun: dt.datetime, ended: dt.datetime) -> float:
        """The 99th percentile, in seconds, of the runs that were due in between."""

        def published() -> list[float]:
            found = [row["late"] for row in fetch_sync(self.database_url, LATE, begun, ended)]
            wanted = 0.9 * 50 * (ended - begun).total_seconds()
            return [] if None in found or len(found) < wanted else sorted(found)

        late: list[float] = eventually(published)
        return late[int(len(late) * 0.99)]

    def ratio(self, method: str, idle_cores: float) -> float:
        """How much later runs are under the calls than beside foreign processes that use as much CPU."""
        begun, used = dt.datetime.now(dt.UTC), self.cpu_seconds()
        self.calls(method, ROUND_SECONDS)
        ended = dt.datetime.now(dt.UTC)
        seconds = (ended - begun).total_seconds()
        cores = (self.cpu_seconds() - used) / seconds - idle_cores
        under_calls = self.lateness(begun, ended)
        # What goes on after its callers have left would delay runs beside the foreign processes, too.
        eventually(lambda: self.scheduler_uses() < 0.4, 10)
        begun = dt.datetime.now(dt.UTC)
        with burning(max(cores, 0.1)):
            time.sleep(ROUND_SECONDS)
            ended = dt.datetime.now(dt.UTC)
        return under_calls / self.lateness(begun, ended)

    def scheduler_uses(self) -> float:
        """The share of a core that the scheduler uses now: a fifth for dispatching alone."""
        used, seconds = cpu_seconds(self.pids[:1]), 0.3
        time.sleep(seconds)
        return (cpu_seconds(self.pids[:1]) - used) / seconds

    def idle_cores(self) -> float:
        """What all of it uses without callers."""
        used = self.cpu_seconds()
        time.sleep(ROUND_SECONDS)
        return (self.cpu_seconds() - used) / ROUND_SECONDS


@pytest.fixture(scope="module")
def load(lone_scheduler: Scheduler, tokens: LocalIssuer, database_url: str, valkey: Valkey) -> Iterator[Load]:
    credentials = grpc.access_token_call_credentials(tokens.mint("viewer"))
    stub = schedules_pb2_grpc.ScheduleServiceStub(lone_scheduler.channel)
    watched = stub.WatchSchedules(pb.WatchSchedulesRequest(), credentials=credentials)
    cursor = next(watched).cursor
    watched.cancel()
    for statement in filter(str.strip, [*FILL.split(";"), TICKS]):
        fetch_sync(database_url, statement)
    # Any connection of the scheduler's is a child of the one who has them all.
    [(backend,)] = fetch_sync(
        database_url, "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'celeriac%' LIMIT 1"
    )
    server, broker = lone_scheduler.process.process, valkey.process
    assert server is not None and broker is not None
    pids = (server.pid, broker.pid, os.getpid())
    yield Load(lone_scheduler, credentials, database_url, cursor, pids, parent_of(backend))


def test_each_dearest_request_is_one_that_is_answered(load: Load) -> None:
    for method, request in WORST.items():
        called = load.called(method)(request(0, 0, load.cursor).SerializeToString(), timeout=60)
        assert next(called) if viewer_methods()[method] else called, method


def test_runs_are_published_in_time_under_any_call_of_viewers(load: Load) -> None:
    idle = load.idle_cores()
    ratios = {method: [load.ratio(method, idle)] for method in WORST}
    for _ in range(ROUNDS - 1):
        for method, found in ratios.items():
            if statistics.median(found) > 2:
                found.append(load.ratio(method, idle))
    late = {method: found for method, found in ratios.items() if statistics.median(found) > 2}
    assert late == {}


def test_the_work_for_a_call_ends_when_its_caller_leaves(load: Load) -> None:
    fetch_sync(load.database_url, "DELETE FROM celery_schedules WHERE id LIKE 'tick-%'")
    method = "/celeriac.scheduler.v1.ScheduleService/PreviewTimes"
    preview: Any = load.scheduler.channel.unary_unary(method)
    before = cpu_seconds(load.pids[:1])
    asked = [
        preview.future(WORST[method](caller, number, "").SerializeToString(), credentials=load.credentials)
        for caller in range(CALLERS)
        for number in range(5)
    ]
    # All of them would take some ten seconds.
    eventually(lambda: cpu_seconds(load.pids[:1]) > before + 0.2)
    for call in asked:
        call.cancel()

    eventually(lambda: load.scheduler_uses() < 0.1, 10)
