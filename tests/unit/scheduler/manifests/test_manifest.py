"""Manifests: what is written is read back as the same; each fault is named by its place, all at once."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kernel.validation import Faults
from services.scheduler.manifests.difference import Kind, difference
from services.scheduler.manifests.read import Wanted, read_manifest
from services.scheduler.manifests.text import TextInvalid, parse_text, yaml_text
from services.scheduler.manifests.write import manifest_text
from services.scheduler.schedule.definition import Definition, Overlap, Schedule, Task
from services.scheduler.timing.due_times import CrontabTiming, IntervalTiming, OnceTiming, SolarTiming
from services.scheduler.timing.durations import format_span, parse_span
from services.scheduler.timing.plan import Bounds, Misfire, MisfireAction
from tests.support.examples import tried
from tests.unit.scheduler.definitions import DEFINITIONS, FIELDS

NOW = dt.datetime(2026, 11, 24, 12, tzinfo=dt.UTC)
ZONE = "Asia/Taipei"


def read(text: str) -> list[Wanted]:
    faults = Faults()
    found = read_manifest(text, ZONE, NOW, faults)
    faults.raise_any()
    return found


def one(text: str) -> Definition:
    """The definition of an entry, given as the lines after its id."""
    (found,) = read("schedules:\n- id: one\n  task: count\n  " + text.replace("\n", "\n  "))
    return found.definition


def faults_of(text: str) -> dict[str, str]:
    faults = Faults()
    read_manifest(text, ZONE, NOW, faults)
    assert all(fault.example for fault in faults)
    return {fault.field: fault.fault for fault in faults}


def stored(definition: Definition, run_count: int = 0) -> Schedule:
    return Schedule(definition, 1, NOW, None, NOW, NOW, run_count)


# ------------------------------------------------------------------------------------- round trip


def test_every_field_of_a_definition_is_tried() -> None:
    assert [field.name for field in dataclasses.fields(Definition)] == list(FIELDS)


@tried(300)
@given(st.lists(DEFINITIONS, max_size=3, unique_by=lambda each: each.id), st.booleans())
def test_what_is_exported_and_applied_changes_nothing(each: list[Definition], as_json: bool) -> None:
    wanted = read(manifest_text(each, as_json=as_json))
    assert [found.settled(before) for found, before in zip(wanted, each, strict=True)] == each
    assert difference(wanted, map(stored, each), [], NOW, "").changes == ()


@tried(200)
@given(DEFINITIONS)
def test_what_is_exported_makes_the_same_elsewhere(definition: Definition) -> None:
    text = manifest_text([definition])
    (found,) = read(text)
    assert manifest_text([found.settled(None)]) == text
    assert json.loads(found.definition.task.kwargs_json) == json.loads(definition.task.kwargs_json)


@tried(300)
@given(
    st.integers(0, 10**18).map(lambda number: number / 1e9)
    | st.integers(0, 10**15).map(lambda number: dt.timedelta(microseconds=number))
)
def test_a_span_is_read_back_exactly(span: float | dt.timedelta) -> None:
    found = parse_span(format_span(span))
    assert found is not None
    assert (
        dt.timedelta(microseconds=int(found * 10**6)) if isinstance(span, dt.timedelta) else float(found)
    ) == span


def test_arguments_too_deep_or_too_large_for_yaml_are_kept_as_json() -> None:
    deep = "[" * 300 + "]" * 300
    definition = dataclasses.replace(one("every: 30s"), task=Task("count", deep, '{"much": 1e-999}'))
    (found,) = read(manifest_text([definition]))
    assert found.settled(definition) == definition


# ------------------------------------------------------------------------------------- as people write


def test_fields_are_as_people_write_them() -> None:
    found = one(
        """crontab: 30 */6 * * mon-fri
args: [daily, 7]
kwargs: {min_length: 5, force: no, ratio: 0.5, rebuild: false}
queue: ai_analysis
priority: 3
expires: 1h30m
soft_time_limit: 1.5m
time_limit: 120
headers: {tenant: acme}
start: 2026-12-01T08:00:00+08:00
end: 2027-01-01T00:00:00Z
max_runs: 12
jitter: 500ms
misfire: run_each
misfire_window: 2h
overlap: skip
resend_lost: true
pause_after_failures: 3
labels: {team: growth}
paused: true
pause_note: until the move is over
description:"""
    )
    assert isinstance(found.timing, CrontabTiming)
    assert (found.timing.crontab.expression, found.timing.zone) == ("30 */6 * * mon-fri", ZONE)
    assert found.task == Task(
        "count",
        '["daily", 7]',
        # "no" is a text, as YAML 1.2 has it.
        '{"min_length": 5, "force": "no", "ratio": 0.5, "rebuild": false}',
        *("ai_analysis", 3, 5400.0, 90.0, 120.0),
        {"tenant": "acme"},
    )
    start, end = dt.datetime(2026, 12, 1, tzinfo=dt.UTC), dt.datetime(2027, 1, 1, tzinfo=dt.UTC)
    assert found.bounds == Bounds(start, end, 12)
    assert found.jitter == dt.timedelta(milliseconds=500)
    assert (found.overlap, found.resend_lost, found.pause_after_failures) == (Overlap.SKIP, True, 3)
    assert found.misfire == Misfire(MisfireAction.RUN_EACH, dt.timedelta(hours=2))
    assert (found.paused, found.pause_note, found.description) == (True, "until the move is over", "")


def test_every_timing() -> None:
    place = "solar: {event: sunset, latitude: 25, longitude: 121.56}"
    assert one("once: 2026-12-24T09:00:00Z\nzone: UTC").timing == OnceTiming(
        dt.datetime(2026, 12, 24, 9, tzinfo=dt.UTC), "UTC"
    )
    assert one(place).timing == SolarTiming("sunset", 25.0, 121.56, ZONE)
    every = dt.timedelta(seconds=30)
    assert one("every: 30s").timing == IntervalTiming(every, NOW + every, ZONE)
    assert one("every: 30\nanchor: 2026-01-01T00:00:00Z").timing == IntervalTiming(
        every, dt.datetime(2026, 1, 1, tzinfo=dt.UTC), ZONE
    )


def test_what_a_manifest_leaves_open_stays_as_it_is() -> None:
    """An operator's pause, an interval's phase, and how arguments are spelled."""
    current = dataclasses.replace(
        one("every: 30s\nanchor: 2026-01-01T00:00:07Z"),
        task=Task("count", "[ 1 ]", '{"b": 1, "a": 2}'),
        paused=True,
        pause_note="mei",
    )
    same = {"id": "one", "task": "count", "every": "30s", "args": [1], "kwargs": {"a": 2, "b": 1}}

    def settled(**changes: object) -> Definition:
        return read(json.dumps({"schedules": [same | changes]}))[0].settled(current)

    assert settled() == current
    assert settled(kwargs='{"a": 2, "b": 1}') == current
    assert settled(paused=False) == dataclasses.replace(current, paused=False, pause_note="")
    assert settled(every="30.001s").timing != current.timing
    assert settled(zone="UTC").timing == IntervalTiming(
        dt.timedelta(seconds=30), NOW + dt.timedelta(seconds=30), "UTC"
    )
    assert settled(args=[1.0]).task.args_json == "[1.0]"
    assert settled(args=[True]).task.args_json == "[true]"


# ------------------------------------------------------------------------------------- faults


def test_every_fault_is_told_at_once_by_its_place() -> None:
    found = faults_of(
        """schedules:
- {id: Big One, task: "", crontab: 0 99 * * *}
- {id: two, task: count}
- {id: three, task: count, crontab: 0 2 * * *, every: 30s, queu: x}
- {id: four, task: 4, every: 30 minutes, paused: "yes", priority: 10, expires: -1}
- {id: five, task: count, once: 2026-12-24 09:00, zone: Taipei, args: {}, kwargs: "[]"}
- {id: six, task: count, solar: {event: moonrise, latitude: 91}, misfire: maybe, overlap: never,
   resend_lost: 1, anchor: 2026-01-01T00:00:00Z}
- {id: two, task: count, every: 10ms, labels: {team: 5}, misfire: skip, misfire_window: 1h}
- {task: count, every: 1s, pause_note: x, jitter: 2d, start: 2027-01-01T00:00:00Z, end: 2026-01-01T00:00:00Z}
- nine
"""
    )
    expected = {
        "schedules[0]": ("task", "id", "crontab"),
        "schedules[2]": ("queu",),
        "schedules[3]": ("task", "expires", "priority", "every", "paused"),
        "schedules[4]": ("args", "kwargs", "zone", "once"),
        "schedules[5]": (
            "anchor",
            "misfire",
            "overlap",
            "resend_lost",
            "solar.event",
            "solar.latitude",
            "solar.longitude",
        ),
        "schedules[6]": ("every", "misfire_window", "labels.team", "id"),
        "schedules[7]": ("id", "end", "jitter", "pause_note"),
    }
    fields = {f"{place}.{name}" for place, names in expected.items() for name in names}
    assert set(found) == fields | {"schedules[1]", "schedules[2]", "schedules[8]"}
    assert found["schedules[4].once"].startswith("has no offset from UTC")
    assert found["schedules[2]"] == "has crontab and every; it may have one"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "is empty"),
        ("- id: one", "is a list"),
        ("schedules: []\nschedules: []", "has the key 'schedules' twice in one mapping, at line 2"),
        ('{"schedules": [], "schedules": []}', "has the key 'schedules' twice"),
        ('{"schedules": [}', "begins as JSON, and is none"),
        ('{"schedules": NaN}', "has NaN"),
        ("schedules: [", "is not YAML"),
        ("schedules:\n- id: a\n  crontab: */5 * * * *", 'what begins with "*" must be in quotes'),
        ("schedules:\n- id: a\n  crontab: @daily", 'what begins with "@" must be in quotes'),
        ("schedules:\n- id: a\n\ttask: b", "indent with blanks, not with tabs"),
        ("schedules: []\n---\nschedules: []", "has a second document at line 2"),
        ("schedules: &all []", "has an anchor (&all) at line 1"),
        ("a: &a [x]\nb: *a", "has an anchor"),
        ("schedules: *all", "has an alias"),
        ("schedules: !!python/object/apply:os.system [ls]", "has a tag"),
        ("schedules: !!set {a}", "has a tag"),
        ("? [a]\n: b", "has a key that is no text"),
        ("schedules: \x01", "is not YAML"),
        ("schedules: " + "[" * 101 + "]" * 101, "is nested deeper than 100"),
        ("- " * 100_000 + "x", "is nested deeper than 100"),
        ("[" * 1_000_000, "begins as JSON, and is none"),
        ("#" * (4 * 1024 * 1024 + 1), "has 4194305 bytes"),
    ],
)
def test_a_text_that_is_no_manifest_is_refused(text: str, fault: str) -> None:
    assert fault in faults_of(text)["manifest"]


def test_a_key_that_is_given_twice_among_very_many_is_found_at_once() -> None:
    keys = ", ".join(f'"k{number}": 0' for number in range(200_000))
    began = time.monotonic()
    assert "has the key 'k199999' twice" in faults_of(f'{{{keys}, "k199999": 0}}')["manifest"]
    # One look at each key for each key would take minutes.
    assert time.monotonic() - began < 10


def test_a_misspelt_field_comes_with_what_may_have_been_meant() -> None:
    faults = Faults()
    read_manifest("schedules:\n- {id: a, task: b, querue: c, solar: sunset}", ZONE, NOW, faults)
    examples = {fault.field: fault.example for fault in faults}
    assert examples["schedules[0].querue"] == "queue"
    assert "latitude" in examples["schedules[0].solar"]


def test_a_bomb_of_aliases_is_refused_before_it_goes_off() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30)]
    assert "anchor" in faults_of("\n".join(lines))["manifest"]


def test_a_manifest_has_only_schedules_and_not_too_many() -> None:
    assert list(faults_of("schedules: []\nversion: 2")) == ["version"]
    assert list(faults_of("schedule: []")) == ["schedule", "schedules"]
    assert list(faults_of("schedules: [" + "{}, " * 10_001 + "]")) == ["schedules"]


@given(st.text(alphabet="[]{}:,-&*!|>'\"#%@ \n\t0a~?"))
def test_no_text_breaks_the_reader(text: str) -> None:
    try:
        data = parse_text(text)
    except TextInvalid:
        return
    assert parse_text(yaml_text(data)) == data


# ------------------------------------------------------------------------------------- difference


def test_a_difference_is_read_like_a_story() -> None:
    old = one("crontab: 30 3 * * *\nkwargs: {min_length: 5, user_role: user}\nlabels: {team: growth}")
    gone = dataclasses.replace(old, id="gone")
    text = """schedules:
- {id: one, task: count, crontab: 30 4 * * *, kwargs: {min_length: 6}, labels: {team: growth}, expires: 1h}
- {id: past, task: count, once: "2020-01-01T00:00:00Z"}
"""
    found = difference(read(text), [stored(old), stored(gone)], ["gone"], NOW, "")
    assert [change.kind for change in found.changes] == [Kind.REMOVE, Kind.CHANGE, Kind.CREATE]
    assert (
        found.text
        == """- gone
~ one
    kwargs.min_length: 5 → 6
    expires: (not set) → 1h
    crontab: 30 3 * * * → 30 4 * * *
    kwargs.user_role: user → (not set)
+ past
    task: count
    queue: celery
    once: 2020-01-01T00:00:00Z
    zone: Asia/Taipei
    ! is never due: nothing of it lies between now (or start) and end
1 created, 1 changed, 1 removed, 0 unchanged
"""
    )


def test_a_schedule_that_has_had_its_runs_is_told_of() -> None:
    old = one("every: 30s\nmax_runs: 5")
    text = "schedules: [{id: one, task: count, every: 30s, max_runs: 3}]"
    (change,) = difference(read(text), [stored(old, run_count=4)], [], NOW, "").changes
    assert change.warnings == ("is done: 4 runs are behind it, and max_runs is 3",)


@pytest.mark.parametrize("number", ["1" + "0" * 400, "-1" + "0" * 400])
def test_a_whole_number_beyond_all_floats_is_a_fault_of_its_field(number: str) -> None:
    solar = f"solar: {{event: sunset, latitude: {number}, longitude: 1}}"
    found = faults_of(f"schedules:\n- {{id: a, task: t, {solar}}}")
    assert found["schedules[0].solar.latitude"].startswith("is too large for a number")
