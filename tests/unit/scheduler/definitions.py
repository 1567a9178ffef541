"""Any definition that the service may hold, for hypothesis."""

from __future__ import annotations

import datetime as dt
import json

from hypothesis import strategies as st

from services.kernel.broker_layout import not_a_queue
from services.kernel.celery_message import RESERVED_HEADERS
from services.kernel.validation import unseen_character
from services.kernel.zones import known_zones
from services.scheduler.schedule.definition import Definition, Overlap, Task
from services.scheduler.timing.crontab import parse_crontab
from services.scheduler.timing.due_times import CrontabTiming, IntervalTiming, OnceTiming, SolarTiming
from services.scheduler.timing.plan import Bounds, Misfire, MisfireAction
from services.scheduler.timing.solar import EVENTS

STORABLE = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
NOTES = st.text(STORABLE, max_size=30)
NAMES = st.text(STORABLE, min_size=1, max_size=20).filter(
    lambda name: bool(name.strip()) and not unseen_character(name)
)
LABELS = st.dictionaries(NAMES.filter(lambda name: "=" not in name), NOTES, max_size=4)
HEADERS = st.dictionaries(NAMES.filter(lambda name: name not in RESERVED_HEADERS), NOTES, max_size=4)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NOTES, inner, max_size=4),
    max_leaves=12,
)
ZONES = st.sampled_from(sorted(known_zones()))
MOMENTS = st.datetimes(dt.datetime(1, 1, 2), dt.datetime(9998, 12, 30), timezones=st.just(dt.UTC))
MILLISECONDS = st.integers(1000, 366 * 86_400_000).map(lambda number: dt.timedelta(milliseconds=number))
SECONDS = st.none() | st.integers(1, 10**11).map(lambda number: number / 1000)

TASKS = st.builds(
    Task,
    name=NAMES,
    args_json=st.lists(VALUES, max_size=4).map(json.dumps),
    kwargs_json=st.dictionaries(NOTES, VALUES, max_size=4).map(json.dumps),
    # Hypothesis knows the names that our own code refuses, and tries them.
    queue=NAMES.filter(lambda name: not not_a_queue(name)),
    priority=st.integers(0, 9),
    expires=SECONDS,
    soft_time_limit=st.none(),
    time_limit=SECONDS,
    headers=HEADERS,
)
CRONTABS = st.sampled_from(
    ["0 3 * * *", "*/15 8-18 * * mon-fri", "@hourly", " 0  0 29 2 * ", "30 */6 1,15 JAN-mar 7", "@Daily"]
).map(parse_crontab)
TIMINGS = st.one_of(
    st.builds(CrontabTiming, CRONTABS, ZONES),
    st.builds(IntervalTiming, MILLISECONDS, MOMENTS, ZONES),
    st.builds(OnceTiming, MOMENTS, ZONES),
    st.builds(SolarTiming, st.sampled_from(sorted(EVENTS)), st.floats(-90, 90), st.floats(-180, 180), ZONES),
)
BOUNDS = st.builds(
    lambda moments, most: Bounds(moments[0], moments[1], most),
    st.lists(MOMENTS, min_size=2, max_size=2).map(sorted)
    | st.sampled_from([(None, None)])
    | MOMENTS.map(lambda start: (start, None)),
    st.none() | st.integers(1, 2**53),
)
MISFIRES = st.just(Misfire(MisfireAction.SKIP)) | st.builds(
    Misfire, st.sampled_from([MisfireAction.RUN_ONCE, MisfireAction.RUN_EACH]), MILLISECONDS
)


def _sound(definition: Definition) -> bool:
    expires = definition.task.expires
    return expires is None or not definition.jitter or definition.jitter.total_seconds() < expires


# Every field of a Definition is named here: a new one is in manifests, or the test of that fails.
FIELDS = {
    "id": st.from_regex(r"[a-z0-9][a-z0-9._-]{0,30}", fullmatch=True),
    "task": TASKS,
    "timing": TIMINGS,
    "description": NOTES,
    "labels": LABELS,
    "paused": st.booleans(),
    "pause_note": st.just(""),
    "bounds": BOUNDS,
    "jitter": st.just(dt.timedelta(0)) | MILLISECONDS.map(lambda span: span % dt.timedelta(days=1)),
    "misfire": MISFIRES,
    "overlap": st.sampled_from(Overlap),
    "resend_lost": st.booleans(),
    "pause_after_failures": st.none() | st.integers(1, 1_000),
}
DEFINITIONS = st.builds(Definition, **FIELDS).filter(_sound)
