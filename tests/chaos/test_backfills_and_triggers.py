"""Backfilled and triggered runs under fire: each once, in order, at no more than the rate, and none beside it
that must not be.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import itertools
import random
import signal
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pytest
from celeriac.scheduler.v1 import schedules_pb2 as pb

from deploy.standalone.tokens import LocalIssuer
from services.scheduler.schedule.definition import Overlap
from services.scheduler.timing.due_times import IntervalTiming
from tests.chaos import fire
from tests.chaos.callers import Callers
from tests.chaos.cluster import Cluster, running_cluster
from tests.chaos.hand import HURTS, planned
from tests.chaos.load import MILLISECOND, Expected, Window, interval, task_id
from tests.chaos.monitor import playing_monitor
from tests.chaos.workers import Work, Workers, lists_of
from tests.support.calls import eventually
from tests.support.schedules import at

QUEUE = "backfilled"
SECONDS = max(14.0, fire.SECONDS / 4)
# The rate is kept by the database's clock, which is left alone.
OFTEN = {
    "kill": 6,
    "freeze": 2,
    "broker stopped": 2,
    "broker killed": 2,
    "broker deaf": 4,
    "broker cut": 1,
    "postgres fast": 1,
    "postgres immediate": 1,
    "monitor cut": 1,
}
HURTS_HERE = {what: (often, *HURTS[what][1:]) for what, often in OFTEN.items()}
# Another fire of the same seed; with the suite's, one that has some of each.
SEED = fire.SEED + 30
# Runs a second: one at a time, and several.
RATES = (4, 20)
CALLERS, PAUSE_SECONDS = 4, 0.2
pytestmark = [pytest.mark.timeout(SECONDS + 300), pytest.mark.soak]
ALL_RUNS = """
    SELECT r.schedule_id, r.due_at, r.batch_id, r.request_id, r.backfill_id, b.recorded_at, b.published_at,
        r.task_namespace
    FROM celery_schedule_runs r LEFT JOIN celery_schedule_batches b ON b.id = r.batch_id
"""


class Sent(NamedTuple):
    """A row of the runs, with its batch."""

    schedule: str
    due: dt.datetime
    batch: int | None
    request: str | None
    backfill: str | None
    recorded: dt.datetime | None
    published: dt.datetime | None
    namespace: bytes

    @property
    def task(self) -> str:
        return task_id(self.schedule, self.due, self.namespace if self.backfill else b"")


class Wanted(NamedTuple):
    """A schedule with due times in the fire, and those before it, in the order in which they are sent."""

    schedule: Expected
    backfilled: Sequence[dt.datetime]
    rate: int

    @property
    def request(self) -> pb.BackfillScheduleRequest:
        first, last = sorted(self.backfilled)[:: len(self.backfilled) - 1]
        newest_first = self.backfilled[0] == last
        return pb.BackfillScheduleRequest(
            name=f"schedules/{self.schedule.definition.id}",
            start_time=at(first),
            end_time=at(last + MILLISECOND),
            rate=self.rate,
            order=pb.BACKFILL_ORDER_NEWEST_FIRST if newest_first else pb.BACKFILL_ORDER_OLDEST_FIRST,
            request_id="backfill",
        )


@dataclass(frozen=True)
class Aftermath:
    wanted: Sequence[Wanted]
    # What callers were told: of each request id, each time the run's due time.
    triggered: dict[tuple[str, str], list[dt.datetime]]
    backfills: Sequence[pb.Backfill]
    runs: Sequence[Sent]
    history: fire.History
    works: Sequence[Work]
    codes: Sequence[int]
    ended_by_themselves: Sequence[int]
    told: str


def wanted_in(window: Window) -> list[Wanted]:
    """For each policy, and either order."""
    found = []
    for number, (overlap, newest_first) in enumerate(itertools.product(Overlap, (False, True))):
        name, every = f"{overlap.value}-{'newest' if newest_first else 'oldest'}", 2000 + 130 * number
        rate = RATES[number // 2 % 2]
        each = interval(name, window, every, 0, queue=QUEUE, overlap=overlap)
        count = int(rate * SECONDS / 2)
        due = [window[0] - back * every * MILLISECOND for back in range(count)]
        timing = IntervalTiming(every * MILLISECOND, due[-1], "UTC")
        definition = dataclasses.replace(each.definition, timing=timing)
        found.append(Wanted(each._replace(definition=definition), due if newest_first else due[::-1], rate))
    return found


def lengths(task: str) -> float:
    return random.Random(task).uniform(0.05, 1.5)


@contextlib.contextmanager
def triggering(callers: Callers, names: Sequence[str]) -> Iterator[dict[tuple[str, str], list[dt.datetime]]]:
    """Triggers runs until it is over, each request two or three times, by the same id, and partly at once."""
    told: dict[tuple[str, str], list[dt.datetime]] = defaultdict(list)
    goes_on = True

    def trigger(caller: int) -> None:
        for number in itertools.count():
            # Two callers have the same requests, and the same chance.
            chance = random.Random(f"{SEED} {caller // 2} {number}")
            name, request_id = chance.choice(names), f"trigger-{caller // 2}-{number}"
            request = pb.TriggerScheduleRequest(name=f"schedules/{name}", request_id=request_id)
            whom = random.Random(f"{SEED} {caller} {number}")
            for _ in range(1 + chance.randrange(2)):
                run = callers.call("TriggerSchedule", request, whom).run
                told[name, request_id].append(run.due_time.ToDatetime(dt.UTC))
            if not goes_on:
                return
            time.sleep(whom.uniform(0.0, 2 * PAUSE_SECONDS))

    with ThreadPoolExecutor(CALLERS) as pool:
        each: list[Future[None]] = [pool.submit(trigger, caller) for caller in range(CALLERS)]
        try:
            yield told
        finally:
            goes_on = False
        for caller in each:
            caller.result(90)


def settled(cluster: Cluster) -> bool:
    running = cluster.postgres.values("SELECT FROM celery_schedule_backfills WHERE state = 'running'")
    return running == [] and fire.settled(cluster) and fire.nothing_waits(cluster)


@pytest.fixture(scope="module")
def aftermath(certificates: Path, tokens: LocalIssuer, tmp_path_factory: pytest.TempPathFactory) -> Aftermath:
    logs = tmp_path_factory.mktemp("backfills")
    with running_cluster(certificates, logs) as cluster, contextlib.ExitStack() as stack:
        window = fire.window_of(SECONDS)
        wanted = wanted_in(window)
        fire.store_in(cluster, [each.schedule for each in wanted], window)
        workers = Workers(cluster.broker, QUEUE, lengths)
        workers.start()
        stack.callback(workers.end)
        stack.enter_context(playing_monitor(certificates, cluster.to_monitor.target, workers))
        callers = Callers(cluster, certificates, tokens.mint("admin", subject="mei"))
        stack.callback(callers.close)
        for replica in cluster.replicas:
            replica.start()
        chance = random.Random(SEED)

        def begun() -> list[pb.Backfill]:
            return [callers.call("BackfillSchedule", each.request, chance).backfill for each in wanted]

        first, names = begun(), [each.schedule.definition.id for each in wanted]
        with triggering(callers, names) as triggered:
            told = fire.hurt(cluster, planned(SEED, SECONDS, HURTS_HERE), logs)
            again = begun()
        assert [each.name for each in first] == [each.name for each in again], told
        with contextlib.suppress(AssertionError):
            eventually(lambda: settled(cluster), fire.SETTLE_SECONDS)
        backfills = begun()
        codes = [replica.stop() for replica in cluster.replicas]
        ended = cluster.ended_by_themselves()
        with cluster.broker.client() as client:
            eventually(lambda: not any(client.llen(name) for name in lists_of(QUEUE)))
        workers.end()
        runs = [Sent(*row) for row in cluster.postgres.values(ALL_RUNS)]
        found = fire.history(cluster)
    return Aftermath(wanted, triggered, backfills, runs, found, workers.works, codes, ended, told)


def tasks_of(aftermath: Aftermath) -> dict[tuple[str, dt.datetime], str]:
    """The task id of each run, by its schedule and due time."""
    return {(run.schedule, run.due): run.task for run in aftermath.runs}


def positions(aftermath: Aftermath) -> dict[str, int]:
    """When each task came to the workers, by its place among all."""
    return {work.task_id: place for place, work in enumerate(aftermath.works)}


def test_each_due_time_and_each_request_id_is_one_run_that_is_published_once(aftermath: Aftermath) -> None:
    told = aftermath.told
    answers = {request: set(due) for request, due in aftermath.triggered.items()}
    differing = {request: due for request, due in answers.items() if len(due) != 1}
    assert differing == {}, told
    assert answers, told
    requested = {(name, request): due for (name, request), [due] in answers.items()}
    recorded = {(run.schedule, run.request): run.due for run in aftermath.runs if run.request}
    assert recorded == requested, told
    assert len([run for run in aftermath.runs if run.request]) == len(requested), told
    backfilled = {(run.schedule, run.due) for run in aftermath.runs if run.backfill}
    expected = {(each.schedule.definition.id, due) for each in aftermath.wanted for due in each.backfilled}
    assert backfilled == expected, told
    others = {(run.schedule, run.due) for run in aftermath.runs if not run.backfill and not run.request}
    assert others == {(each.definition.id, due) for each, *_ in aftermath.wanted for due in each.due}, told
    tasks = tasks_of(aftermath)
    published = [tasks[run.schedule, run.due] for run in aftermath.history.runs if run.state == "published"]
    assert Counter(work.task_id for work in aftermath.works) == Counter(published), told
    chosen = {tasks[run] for run in expected} | {tasks[name, due] for (name, _), due in requested.items()}
    assert chosen <= set(published), told
    assert aftermath.history.states().keys() <= {"published", "skipped"}, told


def test_each_backfill_is_done_and_has_sent_all_that_it_was_for(aftermath: Aftermath) -> None:
    assert {each.state for each in aftermath.backfills} == {pb.BACKFILL_STATE_DONE}, aftermath.told
    counts = [len(each.backfilled) for each in aftermath.wanted]
    assert [each.run_count for each in aftermath.backfills] == counts, aftermath.told
    assert [each.sent_count for each in aftermath.backfills] == counts, aftermath.told


def test_backfilled_runs_come_in_the_order_that_was_asked_for(aftermath: Aftermath) -> None:
    place = positions(aftermath)
    for each in aftermath.wanted:
        name = each.schedule.definition.id
        tasks = {tasks_of(aftermath)[name, due]: due for due in each.backfilled}
        came = [tasks[task] for task in sorted(tasks, key=place.__getitem__)]
        late = [due for due, wanted in zip(came, each.backfilled, strict=True) if due != wanted]
        assert late == [], (name, aftermath.told)


def test_no_backfill_is_faster_than_its_rate(aftermath: Aftermath) -> None:
    """Of what any two of its steps and all between them have sent, by the latest moment at which the first of
    them can have been pushed and the earliest for the last: so it holds however slow the machine is.

    After an outage a second may be made up for; and what is sent at a time is at either end.
    """
    began = {work.task_id: dt.datetime.fromtimestamp(work.began, dt.UTC) for work in aftermath.works}
    for each in aftermath.wanted:
        name = each.schedule.definition.id
        steps: dict[int, list[Sent]] = defaultdict(list)
        for run in aftermath.runs:
            if run.backfill and run.schedule == name and run.batch is not None:
                steps[run.batch].append(run)
        spans = []
        for _, runs in sorted(steps.items()):
            recorded, published = runs[0].recorded, runs[0].published
            assert recorded is not None and published is not None
            # What is known to be published may be forgotten with a crash of PostgreSQL, and be known anew.
            pushed = min(published, *(began[run.task] for run in runs))
            spans.append((recorded, pushed, len(runs)))
        at_a_time = max(1, each.rate // 5)
        assert max(count for _, _, count in spans) <= at_a_time, (name, aftermath.told)
        for first, (_, pushed, _) in enumerate(spans):
            count = spans[first][2]
            for recorded, _, more in spans[first + 1 :]:
                count += more
                seconds = (recorded - pushed).total_seconds()
                most = each.rate * (seconds + 1) + 2 * at_a_time
                assert count <= most + 1e-6, (name, count, seconds, aftermath.told)


def test_a_due_time_of_a_schedule_that_must_not_overlap_waits_for_triggered_and_backfilled_runs(
    aftermath: Aftermath,
) -> None:
    works = {work.task_id: work for work in aftermath.works}
    waited = 0
    for each in aftermath.wanted:
        name = each.schedule.definition.id
        if each.schedule.definition.overlap is Overlap.ALLOW:
            continue
        runs = [run for run in aftermath.runs if run.schedule == name and run.batch is not None]
        runs.sort(key=lambda run: run.batch or 0)
        ended = 0.0
        for run in runs:
            work = works[run.task]
            # Recorded as what may go, after all before it had ended; triggered and backfilled ones need not.
            if not run.request and not run.backfill:
                waited += 1
                assert ended <= work.began, (name, run.due, aftermath.told)
            ended = max(ended, work.ends)
    assert waited, aftermath.told


def test_no_replica_ends_by_itself_and_all_end_when_they_are_asked_to(aftermath: Aftermath) -> None:
    assert aftermath.ended_by_themselves == [], aftermath.told
    # One that was started a moment ago dies of the signal itself.
    assert set(aftermath.codes) <= {0, -signal.SIGTERM}, aftermath.told
