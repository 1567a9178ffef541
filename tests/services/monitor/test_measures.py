"""The measures of a monitor with a real broker and a real worker, as charts and snapshots tell them."""

from __future__ import annotations

import datetime as dt
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import grpc
import psutil
import pytest
from celeriac.monitor.v1 import snapshots_pb2 as pb
from celery import Celery
from google.protobuf.timestamp_pb2 import Timestamp

from deploy.standalone.tokens import LocalIssuer
from services.monitor.measuring.measures import MEASURES
from tests.support.calls import eventually, fields_at_fault, refused
from tests.support.celery_workers import Worker, running_worker
from tests.support.monitors import Monitor
from tests.support.servers import Valkey

# A worker of this machine: its memory and its CPU can be measured.
NAME = f"measured@{socket.gethostname()}"


@pytest.fixture(scope="module")
def worker(monitor: Monitor, broker: Valkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    folder = tmp_path_factory.mktemp("worker")
    with running_worker(broker, folder, name=NAME, concurrency=2) as running:
        monitor.await_worker(NAME)
        yield running


@pytest.fixture(scope="module")
def viewer(monitor: Monitor, tokens: LocalIssuer) -> Monitor:
    token = tokens.mint("viewer", subject="vera")
    return Monitor(monitor.process, monitor.channel, token, monitor.metrics_port)


def series(monitor: Monitor, *measures: str, **asked: Any) -> Mapping[tuple[str, str], list[pb.SeriesPoint]]:
    answer = monitor.monitoring.QuerySeries(pb.QuerySeriesRequest(measures=measures, **asked))
    return {(each.measure, each.subject): list(each.points) for each in answer.series}


def newest(monitor: Monitor, *measures: str) -> Mapping[tuple[str, str], float]:
    found = series(monitor, *measures, max_points=2_000)
    return {name: points[-1].mean for name, points in found.items() if points}


def comes(
    monitor: Monitor, wanted: Mapping[tuple[str, str], Callable[[float], bool]]
) -> Mapping[tuple[str, str], float]:
    """Waits until the newest values are as wanted: of a step that began after this."""
    measures = sorted({measure for measure, _ in wanted})

    def found() -> Mapping[tuple[str, str], float] | None:
        values = newest(monitor, *measures)
        return values if all(name in values and fits(values[name]) for name, fits in wanted.items()) else None

    values: Mapping[tuple[str, str], float] = eventually(found, seconds=90)
    return values


def is_(value: float) -> Callable[[float], bool]:
    return lambda found: found == value


def test_what_waits_and_what_runs_is_measured(
    monitor: Monitor, worker: Worker, app: Celery, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    app.send_task("hold", (str(gate),))
    for _ in range(3):
        app.send_task("add", (1, 2), queue="nobody")
    values = comes(
        monitor,
        {
            ("active_tasks", ""): is_(1),
            ("worker_active_tasks", NAME): is_(1),
            ("waiting_messages", ""): is_(3),
            ("queue_length", "nobody"): is_(3),
            ("queue_length", "celery"): is_(0),
            ("queue_consumers", "celery"): is_(1),
            ("queue_consumers", "nobody"): is_(0),
            ("queue_oldest_seconds", "nobody"): lambda seconds: seconds > 1,
            ("queue_oldest_seconds", "celery"): is_(0),
            ("online_workers", ""): is_(1),
            ("silent_workers", ""): is_(0),
        },
    )
    gate.touch()
    assert values["worker_active_tasks", NAME] == 1
    comes(monitor, {("active_tasks", ""): is_(0)})


def test_what_became_of_tasks_is_measured(monitor: Monitor, worker: Worker, app: Celery) -> None:
    comes(monitor, {("tasks_lost", ""): is_(0)})
    for number in range(12):
        app.send_task("sleep", (0.1,))
        if number < 4:
            app.send_task("fail", ("on purpose",))
    values = comes(
        monitor,
        {
            ("task_success_percent", "sleep"): is_(100),
            ("task_success_percent", "fail"): is_(0),
            ("task_mean_runtime_seconds", "sleep"): lambda seconds: 0.1 <= seconds < 5,
            ("success_percent", ""): lambda percent: 50 < percent < 100,
        },
    )
    assert ("task_mean_runtime_seconds", "fail") not in values

    def is_seen_to_fail() -> bool:
        # Of the readings of a test, which come five times as often, one in five is kept.
        app.send_task("fail", ("on purpose",))
        found = series(monitor, "task_failed_per_second", subjects=["fail"], max_points=2_000)
        return any(point.mean > 0 for points in found.values() for point in points)

    eventually(is_seen_to_fail, seconds=90)


def test_memory_and_cpu_of_a_worker_of_this_machine_are_measured(monitor: Monitor, worker: Worker) -> None:
    process = psutil.Process(worker.process.pid)
    least = process.memory_info().rss
    whole = least + sum(child.memory_info().rss for child in process.children())
    values = comes(
        monitor,
        {
            ("worker_memory_bytes", NAME): lambda used: least < used < 2 * whole,
            ("worker_cpu_percent", NAME): lambda percent: percent >= 0,
            ("worker_skew_seconds", NAME): lambda skew: skew < 60,
        },
    )
    assert values["worker_memory_bytes", NAME] == pytest.approx(whole, rel=0.3)


def test_the_machine_is_measured(monitor: Monitor) -> None:
    comes(
        monitor,
        {
            ("cpu_percent", ""): lambda percent: 0 <= percent <= 100,
            ("memory_available_bytes", ""): lambda left: 0 < left < psutil.virtual_memory().total,
        },
    )


def test_a_viewer_sees_the_catalogue_the_snapshots_and_the_series(viewer: Monitor, worker: Worker) -> None:
    listed = viewer.monitoring.ListMeasures(pb.ListMeasuresRequest())
    assert [each.measure for each in listed.measures] == sorted(MEASURES) and not listed.next_page_token
    first = viewer.monitoring.ListMeasures(pb.ListMeasuresRequest(page_size=3))
    token = first.next_page_token
    second = viewer.monitoring.ListMeasures(pb.ListMeasuresRequest(page_size=3, page_token=token))
    assert [each.measure for each in (*first.measures, *second.measures)] == sorted(MEASURES)[:6]
    length = next(each for each in listed.measures if each.measure == "queue_length")
    assert (length.subject, length.unit) == (pb.MEASURE_SUBJECT_QUEUE, pb.MEASURE_UNIT_COUNT)
    assert length.kept and length.description == MEASURES["queue_length"].meaning


def test_snapshots_come_in_pages_and_by_time(viewer: Monitor, worker: Worker) -> None:
    def three() -> list[pb.Snapshot]:
        answer = viewer.monitoring.ListSnapshots(pb.ListSnapshotsRequest())
        return list(answer.snapshots) if len(answer.snapshots) >= 3 else []

    found = eventually(three, seconds=90)
    assert all(each.step.ToTimedelta() == dt.timedelta(seconds=10) for each in found)
    assert {"cpu_percent", "gaps_open"} <= {figure.measure for figure in found[0].figures}
    paged, token = [], ""
    for _ in range(len(found)):
        page = viewer.monitoring.ListSnapshots(
            pb.ListSnapshotsRequest(page_size=1, page_token=token, end_time=after(found[0].time))
        )
        paged += page.snapshots
        token = page.next_page_token
    assert paged == found and not token
    request = pb.ListSnapshotsRequest(start_time=found[2].time, end_time=found[0].time)
    assert list(viewer.monitoring.ListSnapshots(request).snapshots) == found[1:3]
    request = pb.ListSnapshotsRequest(steps=[pb.SNAPSHOT_STEP_HOUR])
    assert not viewer.monitoring.ListSnapshots(request).snapshots


def after(moment: Timestamp) -> Timestamp:
    return Timestamp(seconds=moment.seconds + 1)


def test_a_step_of_which_nothing_is_known_has_no_point(viewer: Monitor, worker: Worker) -> None:
    now = int(time.time())
    request = pb.QuerySeriesRequest(
        measures=["cpu_percent"], start_time=Timestamp(seconds=now - 86_400), end_time=Timestamp(seconds=now)
    )
    answer = viewer.monitoring.QuerySeries(request)
    assert answer.step.ToTimedelta() == dt.timedelta(minutes=5)
    assert (answer.start_time, answer.end_time) == (request.start_time, request.end_time)
    [cpu] = answer.series
    assert 1 <= len(cpu.points) <= 4
    before = pb.QuerySeriesRequest(measures=["cpu_percent"], end_time=Timestamp(seconds=now - 86_400))
    assert not viewer.monitoring.QuerySeries(before).series


@pytest.mark.parametrize(
    ("request_", "field", "fault"),
    [
        (pb.QuerySeriesRequest(), "measures", "has 0 measures, it must have 1 to 10"),
        (
            pb.QuerySeriesRequest(measures=["speed"]),
            "measures[0]",
            "is 'speed', no measure; ListMeasures has them",
        ),
        (
            pb.QuerySeriesRequest(measures=["component_unwell"]),
            "measures[0]",
            "is 'component_unwell', which snapshots do not keep",
        ),
        (
            pb.QuerySeriesRequest(measures=["queue_length"], max_points=2_001),
            "max_points",
            "is 2001, it must be 2 to 2000",
        ),
        (
            pb.QuerySeriesRequest(measures=["queue_length"], subjects=["q"] * 101),
            "subjects",
            "has 101 subjects, at most 100 are allowed",
        ),
        (
            pb.QuerySeriesRequest(
                measures=["queue_length"],
                start_time=Timestamp(seconds=10**9),
                end_time=Timestamp(seconds=10**9),
            ),
            "start_time",
            "is not before the end, 2001-09-09T01:46:40Z",
        ),
        (
            pb.QuerySeriesRequest(
                measures=["queue_length"],
                start_time=Timestamp(seconds=10**9 - 401 * 86_400),
                end_time=Timestamp(seconds=10**9),
            ),
            "start_time",
            "is more than 400 days before the end, 2001-09-09T01:46:40Z",
        ),
    ],
)
def test_what_can_not_be_asked_is_told_with_an_example(
    viewer: Monitor, request_: pb.QuerySeriesRequest, field: str, fault: str
) -> None:
    code, text = refused(viewer.monitoring.QuerySeries, request_)
    assert code is grpc.StatusCode.INVALID_ARGUMENT and fault in text
    assert fields_at_fault(viewer.monitoring.QuerySeries, request_) == [field]


def test_a_step_that_there_is_not_is_refused(viewer: Monitor) -> None:
    request = pb.ListSnapshotsRequest(steps=[7])  # type: ignore[list-item]
    _, text = refused(viewer.monitoring.ListSnapshots, request)
    assert "SNAPSHOT_STEP_HOUR" in text
    assert fields_at_fault(viewer.monitoring.ListSnapshots, request) == ["steps[0]"]
