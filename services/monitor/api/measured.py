"""Measures, snapshots and series, and requests for them, as messages of the contract."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Mapping, Sequence

from celeriac.monitor.v1 import snapshots_pb2 as pb

from services.kernel.grpc.enums import wire_values
from services.kernel.grpc.wire import duration, moment_in, timestamp, window_in
from services.kernel.pages import (
    decode_last,
    decode_place,
    encode_last,
    encode_place,
    next_page_token,
    page_size,
)
from services.kernel.validation import Faults
from services.monitor.measuring.measures import MEASURES, Measure, Subject, Unit
from services.monitor.snapshots.charts import Chart, Charts, Point, Range, Series
from services.monitor.snapshots.listing import Snapshot, SnapshotList
from services.monitor.snapshots.steps import FINEST, HOUR, MINUTE, STEPS, Step

SUBJECTS = wire_values(pb.MeasureSubject, Subject)
UNITS = wire_values(pb.MeasureUnit, Unit)
STEPS_FROM_WIRE: Mapping[pb.SnapshotStep, Step] = {
    pb.SNAPSHOT_STEP_TEN_SECONDS: FINEST,
    pb.SNAPSHOT_STEP_MINUTE: MINUTE,
    pb.SNAPSHOT_STEP_HOUR: HOUR,
}
MOST_MEASURES, MOST_SUBJECTS, MOST_NAME = 10, 100, 1_024
POINTS, LEAST_POINTS, MOST_POINTS = 300, 2, 2_000
HOUR_LONG, MOST_DAYS = dt.timedelta(hours=1), 400
EXAMPLE, EXAMPLE_TIME = "queue_length", "2026-11-24T00:00:00Z"
# Before any snapshot, and after all of them.
FIRST, LAST = dt.datetime(1971, 1, 1, tzinfo=dt.UTC), dt.datetime(9000, 1, 1, tzinfo=dt.UTC)


class Measured:
    """Answers the calls of MonitoringService that are about measures."""

    def __init__(self, charts: Charts, snapshots: SnapshotList) -> None:
        self._charts = charts
        self._snapshots = snapshots

    def measures(self, request: pb.ListMeasuresRequest) -> pb.ListMeasuresResponse:
        size, after = page_size(request.page_size, default=200), decode_last(request.page_token)
        found = [MEASURES[name] for name in sorted(MEASURES) if name > after][: size + 1]
        token = next_page_token(found, size, lambda last: encode_last(last.name))
        return pb.ListMeasuresResponse(measures=map(measure_to, found[:size]), next_page_token=token)

    async def snapshots(self, request: pb.ListSnapshotsRequest) -> pb.ListSnapshotsResponse:
        steps, within = snapshots_in(request)
        size = page_size(request.page_size)
        found = await self._snapshots.list(steps, within, size + 1)
        token = next_page_token(found, size, lambda last: encode_place((last.time, "")))
        return pb.ListSnapshotsResponse(snapshots=map(snapshot_to, found[:size]), next_page_token=token)

    async def series(self, request: pb.QuerySeriesRequest) -> pb.QuerySeriesResponse:
        now = dt.datetime.now(dt.UTC)
        within = query_in(request, now)
        chart = await self._charts.chart(
            request.measures, request.subjects, within, request.max_points or POINTS, now
        )
        # Of 20,000 points it takes a moment.
        return await asyncio.to_thread(chart_to, chart, within)


def chart_to(chart: Chart, within: Range) -> pb.QuerySeriesResponse:
    return pb.QuerySeriesResponse(
        step=duration(chart.step.total_seconds()),
        series=map(series_to, chart.series),
        left_out_count=chart.left_out,
        start_time=timestamp(within.start),
        end_time=timestamp(within.end),
    )


def measure_to(measure: Measure) -> pb.Measure:
    return pb.Measure(
        measure=measure.name,
        subject=SUBJECTS[measure.subject],
        unit=UNITS[measure.unit],
        description=measure.meaning,
        kept=measure.kept,
    )


def snapshot_to(snapshot: Snapshot) -> pb.Snapshot:
    return pb.Snapshot(
        time=timestamp(snapshot.time),
        step=duration(snapshot.step.seconds),
        figures=[
            pb.SnapshotFigure(measure=name, mean=point.mean, min=point.least, max=point.greatest)
            for name, point in sorted(snapshot.figures.items())
        ],
    )


def series_to(series: Series) -> pb.MeasureSeries:
    return pb.MeasureSeries(
        measure=series.name.measure,
        subject=series.name.subject,
        unit=UNITS[MEASURES[series.name.measure].unit],
        points=map(_point_to, series.points),
    )


def _point_to(point: Point) -> pb.SeriesPoint:
    return pb.SeriesPoint(time=timestamp(point.time), mean=point.mean, min=point.least, max=point.greatest)


def snapshots_in(request: pb.ListSnapshotsRequest) -> tuple[Sequence[Step], Range]:
    """Returns which snapshots are asked for: those of the page. Raises `Invalid`."""
    faults = Faults()
    start, end = window_in(request, faults)
    for position, step in enumerate(request.steps):
        fault = f"is {step}, not a SnapshotStep"
        faults.unless(step in STEPS_FROM_WIRE, f"steps[{position}]", fault, "SNAPSHOT_STEP_HOUR")
    faults.raise_any()
    place = decode_place(request.page_token)
    if place is not None:
        end = place[0] if end is None else min(end, place[0])
    steps = [STEPS_FROM_WIRE[step] for step in dict.fromkeys(request.steps)] or list(STEPS)
    return steps, _bounded(start or FIRST, end or LAST)


def query_in(request: pb.QuerySeriesRequest, now: dt.datetime) -> Range:
    """Checks a request, and returns its time. Raises `Invalid`."""
    faults = Faults()
    _check_measures(request.measures, faults)
    few = len(request.subjects) <= MOST_SUBJECTS
    fault = f"has {len(request.subjects)} subjects, at most {MOST_SUBJECTS} are allowed"
    if faults.unless(few, "subjects", fault, "celery"):
        for position, subject in enumerate(request.subjects):
            faults.text(f"subjects[{position}]", subject, "celery", most=MOST_NAME, required=False)
    points = request.max_points
    fault = f"is {points}, it must be {LEAST_POINTS} to {MOST_POINTS}"
    faults.unless(points == 0 or LEAST_POINTS <= points <= MOST_POINTS, "max_points", fault, str(POINTS))
    start, end = moment_in(request, "start_time", faults), moment_in(request, "end_time", faults) or now
    end = min(max(end, FIRST), LAST)
    start = end - HOUR_LONG if start is None else max(start, FIRST - HOUR_LONG)
    faults.unless(start < end, "start_time", f"is not before the end, {end:%Y-%m-%dT%H:%M:%SZ}", EXAMPLE_TIME)
    fault = f"is more than {MOST_DAYS} days before the end, {end:%Y-%m-%dT%H:%M:%SZ}"
    faults.unless(end - start <= dt.timedelta(days=MOST_DAYS), "start_time", fault, EXAMPLE_TIME)
    faults.raise_any()
    return Range(start, end)


def _check_measures(measures: Sequence[str], faults: Faults) -> None:
    fault = f"has {len(measures)} measures, it must have 1 to {MOST_MEASURES}"
    if not faults.unless(1 <= len(measures) <= MOST_MEASURES, "measures", fault, EXAMPLE):
        return
    for position, name in enumerate(measures):
        field, known = f"measures[{position}]", MEASURES.get(name)
        if faults.unless(
            known is not None, field, f"is {name[:100]!r}, no measure; ListMeasures has them", EXAMPLE
        ):
            kept = known is not None and known.kept
            faults.unless(kept, field, f"is {name!r}, which snapshots do not keep", EXAMPLE)


def _bounded(start: dt.datetime, end: dt.datetime) -> Range:
    return Range(min(max(start, FIRST), LAST), min(max(end, FIRST), LAST))
