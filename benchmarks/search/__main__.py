"""Searches in a million stored tasks, by the monitor's own ListTasks, and a revoke beside fifty of them.

    make bench AREA=search

No peer: Flower keeps its tasks in memory, 10,000 by default, and looks at each.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import grpc
from celeriac.monitor.v1 import tasks_pb2 as pb
from celeriac.monitor.v1 import tasks_pb2_grpc

from benchmarks import supervised
from benchmarks.report import Measure, quick, report
from benchmarks.search.tasks import (
    CHINESE,
    ENGLISH,
    RARE_CHINESE,
    RARE_ENGLISH,
    fill,
)
from benchmarks.servers import Servers, Valkey, temporary_servers
from deploy.standalone.certificates import ensure_certificates
from deploy.standalone.tokens import LocalIssuer
from services.kernel.migrations import migrate
from services.monitor.search.store_slices import STEP
from tests.support.calls import Caller, eventually
from tests.support.celery_workers import running_worker
from tests.support.monitors import Monitor, running_monitor
from tests.support.sql import fetch_sync

TASKS = 50_000 if quick() else 1_000_000
# Searches of each sort, one after the other; and at the same time, beside a revoke.
EACH, BESIDE = (20, 10) if quick() else (200, 50)
LOOKS = 5 if quick() else 20
MOST_SEARCH, MOST_PAIR, MOST_OTHERS = 50, 20, 100
# Until all tasks but the newest are in the index.
INDEXED = f"""
    SELECT count(*) < {STEP} FROM celery_task_results_ext WHERE (heard_at, id) >
        ALL (SELECT to_at, to_id FROM celery_task_slices ORDER BY to_at DESC, to_id DESC LIMIT 1)
    HAVING EXISTS (SELECT FROM celery_task_slices)
"""
SIZES = """
    SELECT pg_total_relation_size('celery_task_results_ext') AS tasks,
        (SELECT sum(pg_total_relation_size(name::regclass)) FROM unnest(ARRAY['celery_task_slices',
            'celery_task_slice_ids', 'celery_task_grams', 'celery_task_late']) AS name) AS index
"""

Requests = Callable[[random.Random], pb.ListTasksRequest]


def texts(*of: str) -> Requests:
    return lambda drawn: pb.ListTasksRequest(text=drawn.choice(of))


def absent(drawn: random.Random) -> pb.ListTasksRequest:
    """Words, numbers and ids that are nowhere."""
    word = "".join(drawn.choices("abcdefghijklmnopqrstuvwxyz", k=drawn.randint(5, 10)))
    return pb.ListTasksRequest(
        text=drawn.choice((word, f"nosuch {word}", f"{drawn.randrange(10**11, 10**12)}"))
    )


def absent_in_chinese(drawn: random.Random) -> pb.ListTasksRequest:
    """Also characters that are everywhere, in an order that is nowhere."""
    first, second = drawn.sample(CHINESE, 2)
    return pb.ListTasksRequest(
        text=drawn.choice(("不存在的词", f"{first[1]}{first[0]}{second[1]}{second[0]}"))
    )


def pairs(drawn: random.Random) -> pb.ListTasksRequest:
    """Two filters each; some pairs are common, some rare, some of no task."""
    names, queues = [f"task_{drawn.randrange(70)}"], [f"queues/queue_{drawn.randrange(13)}"]
    workers = [f"workers/celery@host-{drawn.randrange(9)}~{drawn.randrange(5)}"]
    return drawn.choice(
        (
            pb.ListTasksRequest(task_names=names, queues=queues),
            pb.ListTasksRequest(task_names=names, states=[pb.TASK_STATE_FAILURE]),
            pb.ListTasksRequest(workers=workers, states=[pb.TASK_STATE_FAILURE]),
            pb.ListTasksRequest(workers=workers, queues=queues),
            pb.ListTasksRequest(queues=queues, states=[pb.TASK_STATE_REVOKED]),
        )
    )


SORTS: dict[str, tuple[Requests, int]] = {
    "rare_english": (texts(*RARE_ENGLISH), MOST_SEARCH),
    "rare_chinese": (texts(*RARE_CHINESE), MOST_SEARCH),
    "frequent_english": (texts(*ENGLISH, "TimeoutError"), MOST_SEARCH),
    "frequent_chinese": (texts(*CHINESE, "超时"), MOST_SEARCH),
    "absent_english": (absent, MOST_SEARCH),
    "absent_chinese": (absent_in_chinese, MOST_SEARCH),
    "pairs_of_filters": (pairs, MOST_PAIR),
}


@contextmanager
def indexed_monitor(servers: Servers, state: Path) -> Iterator[tuple[Monitor, LocalIssuer, Valkey]]:
    """A monitor that has put all tasks into its index, and one worker."""
    asyncio.run(migrate(servers.database_url, "monitor"))
    begin = time.monotonic()
    asyncio.run(fill(servers.database_url, TASKS))
    print(f"{TASKS} tasks written in {time.monotonic() - begin:.0f} s", flush=True)
    ensure_certificates(state)
    tokens = LocalIssuer(state)
    tokens.ensure_key()
    valkey = Valkey(state, servers.redis_port, servers.redis_host)
    begin = time.monotonic()
    with running_monitor(state, tokens, servers.database_url, valkey) as monitor:
        eventually(lambda: any(row[0] for row in fetch_sync(servers.database_url, INDEXED)), 1200)
        print(f"indexed in {time.monotonic() - begin:.0f} s", flush=True)
        yield monitor, tokens, valkey


def milliseconds(call: Callable[[], object]) -> float:
    begin = time.perf_counter()
    call()
    return (time.perf_counter() - begin) * 1000


def measured(monitor: Monitor, requests: Requests) -> list[float]:
    drawn = random.Random(11)
    asked = [requests(drawn) for _ in range(EACH)]
    monitor.tasks.ListTasks(asked[0])
    return [milliseconds(partial(monitor.tasks.ListTasks, request)) for request in asked]


def beside_searches(monitor: Monitor, viewer: Caller) -> dict[str, list[float]]:
    """GetTask and RevokeTask while so many searches of a viewer run all the time, that find nothing."""
    ended = threading.Event()

    def search_on(number: int) -> None:
        drawn = random.Random(number)
        while not ended.is_set():
            try:
                viewer.ListTasks(absent(drawn))
            except grpc.RpcError as error:
                print("a search was refused:", error.code(), flush=True)

    known = monitor.tasks.ListTasks(pb.ListTasksRequest(page_size=1)).tasks[0].name
    get, revoke = pb.GetTaskRequest(name=known), pb.RevokeTaskRequest(name="tasks/not-sent")
    with ThreadPoolExecutor(BESIDE) as pool:
        for number in range(BESIDE):
            pool.submit(search_on, number)
        time.sleep(1)
        found = {
            "get_task_beside": [milliseconds(partial(monitor.tasks.GetTask, get)) for _ in range(LOOKS)],
            "revoke_beside": [milliseconds(partial(monitor.tasks.RevokeTask, revoke)) for _ in range(LOOKS)],
        }
        ended.set()
    return found


def high(times: Sequence[float]) -> float:
    """The 99th percentile."""
    return statistics.quantiles(times, n=100, method="inclusive")[98]


def measures_of(name: str, times: Sequence[float], most: int) -> Iterator[Measure]:
    yield Measure(f"{name}_p50", statistics.median(times), "ms")
    yield Measure(f"{name}_p99", high(times), "ms", None, None, f"under {most}", high(times) < most)


def main() -> None:
    found: list[Measure] = []
    with (
        temporary_servers() as servers,
        tempfile.TemporaryDirectory() as folder,
        indexed_monitor(servers, Path(folder)) as (monitor, tokens, valkey),
    ):
        for name, (requests, most) in SORTS.items():
            found += measures_of(name, measured(monitor, requests), most)
            print(name, found[-2].value, found[-1].value, flush=True)
        viewer = Caller(tasks_pb2_grpc.TaskServiceStub(monitor.channel), tokens.mint("viewer"))
        with running_worker(valkey, Path(folder)) as worker:
            monitor.await_worker(worker.name)
            for name, times in beside_searches(monitor, viewer).items():
                found += measures_of(name, times, MOST_OTHERS)
        (sizes,) = fetch_sync(servers.database_url, SIZES)
        for name in ("tasks", "index"):
            found.append(Measure(f"bytes_a_task_{name}", int(sizes[name]) / TASKS, "bytes"))
    report(found)


if __name__ == "__main__":
    supervised.run(main)
