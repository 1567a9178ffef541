"""Dumps of other beats: each entry becomes a schedule or is noted, whatever is in it."""

from __future__ import annotations

import datetime as dt
import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
from celery.schedules import crontab as celery_crontab
from hypothesis import given
from hypothesis import strategies as st

from services.kernel.errors import Invalid
from services.kernel.validation import Faults
from services.scheduler.manifests.read import read_manifest
from services.scheduler.manifests.take_over import Dump, Imported, read_dump
from services.scheduler.manifests.take_over_entry import CRONTAB_FIELDS, KNOWN, OPTIONS, Weight
from services.scheduler.manifests.write import entries_text, said_by
from services.scheduler.timing.due_times import next_due
from tests.support.examples import tried

NOW = dt.datetime(2026, 11, 24, 12, tzinfo=dt.UTC)
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")).filter(str.strip)
KINDS = st.sampled_from(["crontab", "interval", "solar", "clocked", "rrule"])
SCHEDULES = st.dictionaries(
    st.sampled_from([*CRONTAB_FIELDS, "zone", "seconds", "relative", "event", "latitude", "longitude", "at"]),
    ANY,
).flatmap(lambda rest: KINDS.map(lambda kind: {**rest, "kind": kind}))
ENTRIES: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"name": NAMES},
    optional={
        **{name: ANY for name in KNOWN if name not in {"name", "schedule", "options"}},
        "schedule": SCHEDULES | ANY,
        "options": st.dictionaries(
            st.sampled_from([*OPTIONS, "queue", "priority", "expires", "headers"]), ANY
        ),
    },
)


def read(*entries: dict[str, Any], labels: dict[str, str] | None = None, queue: str = "") -> Imported:
    faults = Faults()
    dump = json.dumps({"celeriac_dump": 1, "source": "beat_schedule", "entries": entries})
    found = read_dump(Dump(dump, labels or {}, queue), "Asia/Taipei", NOW, faults)
    faults.raise_any()
    return found


def entry(name: str, **fields: Any) -> dict[str, Any]:
    every = {"kind": "interval", "seconds": 30, "zone": "UTC"}
    return {"name": name, "task": "count", "schedule": every, **fields}


@tried(300)
@given(st.lists(ENTRIES, max_size=3, unique_by=lambda each: each["name"]))
def test_every_entry_becomes_a_schedule_or_is_noted(entries: list[dict[str, Any]]) -> None:
    try:
        found = read(*entries)
    except Invalid as refused:
        # JSON's Infinity, which is none.
        assert [fault.field for fault in refused.faults] == ["dump"]
        return
    left_out = {note.entry for note in found.not_carried if not note.field}
    assert len(found.wanted) + len(left_out) == len(entries)
    # And what it tells as a manifest is one, of the same schedules.
    faults = Faults()
    again = read_manifest(entries_text([said_by(each) for each in found.wanted]), "Asia/Taipei", NOW, faults)
    faults.raise_any()
    assert [said_by(each) for each in again] == [said_by(each) for each in found.wanted]


def test_names_become_ids_that_are_their_own() -> None:
    names = ["Add Every", "add-every", "add every", "!?", "a" * 300, "ok-", "a" * 299 + "b"]
    found = read(*map(entry, names))
    ids = [each.definition.id for each in found.wanted]
    assert ids[:6] == ["add-every-2", "add-every", "add-every-3", "schedule-8faf838e", "a" * 200, "ok-"]
    assert len(set(ids)) == len(ids)
    # In another order, each has the same one.
    turned = read(*map(entry, reversed(names)))
    assert [each.definition.id for each in turned.wanted] == ids[::-1]


def test_ten_thousand_names_that_all_become_one_id_are_told_apart_at_once() -> None:
    def seconds(count: int) -> float:
        names = [f"{number:b}".replace("0", "!").replace("1", "?") + "a" for number in range(count)]
        began = time.process_time()
        ids = [each.definition.id for each in read(*map(entry, names)).wanted]
        assert set(ids) == {"a", *(f"a-{number}" for number in range(2, count + 1))}
        return time.process_time() - began

    # A trial of each number for each name would take a hundred times as long for ten times as many.
    assert seconds(10_000) < 30 * seconds(1_000)


def test_a_name_in_another_script_keeps_its_id_whatever_others_come() -> None:
    names = ["每日報表", "每週報表", "VIP 客戶 report", "é" * 300]
    ids = [each.definition.id for each in read(*map(entry, names)).wanted]
    assert all(re.fullmatch(r"(schedule|vip-report)-[0-9a-f]{8}", each) for each in ids)
    assert len(set(ids)) == len(ids)
    for name, found in zip(names, ids, strict=True):
        assert [each.definition.id for each in read(entry(name)).wanted] == [found]


def test_the_ids_in_the_documentation() -> None:
    page = (Path(__file__).parents[4] / "docs/coming-from-another-beat.md").read_text()
    told = dict(re.findall(r'"([^"\n]+)" → `([a-z0-9-]+)`', page))
    assert len(told) == 2
    for name, found in told.items():
        assert read(entry(name)).wanted[0].definition.id == found


def test_headers_that_celery_writes_itself_are_noted() -> None:
    found = read(entry("a", options={"headers": {"tenant": "acme", "id": "x", "timelimit": "5"}}))
    assert found.wanted[0].definition.task.headers == {"tenant": "acme"}
    assert [note.field for note in found.not_carried] == ["options.headers.id", "options.headers.timelimit"]


def test_a_limit_of_many_years_is_noted_and_the_entry_is_carried_over() -> None:
    """The entry was left out as a whole, where one without a sound limit was not."""
    found = read(entry("a", options={"expires": 1e12, "priority": 10}))
    assert found.wanted[0].definition.task.expires is None
    assert [note.field for note in found.not_carried] == ["options.expires", "options.priority"]


def test_what_a_schedule_may_hold_at_most_is_kept() -> None:
    found = read(entry("a", description="x" * 5000), labels={"origin": "beat"})
    assert len(found.wanted[0].definition.description) == 4000
    assert found.wanted[0].definition.labels == {"origin": "beat"}
    assert [note.field for note in found.not_carried] == ["description"]


@pytest.mark.parametrize(
    "fields",
    [
        {"minute": "*/10", "hour": "8-18/2"},
        {"minute": "5", "hour": "2", "day_of_week": "sat,sun"},
        {"minute": "0", "hour": "0", "day_of_month": "1,15", "month_of_year": "*/3"},
        {"hour": "22-4"},
    ],
)
def test_a_crontab_is_due_when_celerys_is(fields: dict[str, str]) -> None:
    """By Celery's own reading of the same fields, in the dump's zone."""
    schedule = {"kind": "crontab", **fields, "zone": "Asia/Tokyo"}
    timing = read(entry("a", schedule=schedule)).wanted[0].definition.timing
    theirs: Any = celery_crontab(**fields)
    local, tokyo = NOW, dt.timezone(dt.timedelta(hours=9))
    for _ in range(5):
        due = next_due(timing, local)
        assert due is not None
        there = due.astimezone(tokyo)
        assert there.minute in theirs.minute and there.hour in theirs.hour
        assert there.isoweekday() % 7 in theirs.day_of_week
        assert there.day in theirs.day_of_month and there.month in theirs.month_of_year
        local = due


def test_a_zone_without_a_name_is_noted() -> None:
    schedule = {"kind": "crontab", "minute": "0", "zone": "UTC+02:00"}
    found = read(entry("a", schedule=schedule))
    assert found.wanted[0].definition.timing.zone == "Asia/Taipei"
    assert [note.field for note in found.not_carried] == ["schedule.zone"]


def test_a_number_that_json_does_not_have_leaves_out_its_entry_alone() -> None:
    """json.dumps writes NaN where a row's kwargs have it, and the whole dump was refused."""
    found = read(
        entry("good"),
        entry("kwargs", kwargs={"rate": [float("nan")]}),
        entry("seconds", schedule={"kind": "interval", "seconds": float("inf")}),
        entry("option", options={"headers": {"x": float("-inf")}}),
    )
    assert [each.definition.id for each in found.wanted] == ["good", "option"]
    assert [(note.entry, note.field) for note in found.not_carried] == [
        ("kwargs", ""),
        ("seconds", ""),
        ("option", "options.headers"),
    ]
    assert "its kwargs has NaN" in found.not_carried[0].reason


def test_blanks_in_a_crontab_do_not_count() -> None:
    """django-celery-beat takes "0, 15, 30", and runs it."""
    found = read(
        entry("a", schedule={"kind": "crontab", "minute": "0, 15, 30", "hour": " 8 - 18 ", "zone": "UTC"})
    )
    assert said_by(found.wanted[0])["crontab"] == "0,15,30 8-18 * * *"
    assert found.not_carried == ()


def test_an_interval_of_more_than_a_year_is_carried_over() -> None:
    found = read(entry("a", schedule={"kind": "interval", "seconds": 400 * 86400, "zone": "UTC"}))
    assert len(found.wanted) == 1
    assert found.not_carried == ()


def test_an_interval_goes_on_from_its_last_run() -> None:
    """It ran 40 minutes ago, each hour: it is due in 20 minutes, not in 60."""
    ran_at = NOW - dt.timedelta(minutes=40, microseconds=1234)
    hourly = {"kind": "interval", "seconds": 3600, "zone": "UTC"}
    found = read(entry("a", schedule=hourly, last_run_at=ran_at.isoformat()))
    due = next_due(found.wanted[0].definition.timing, NOW)
    assert due is not None
    assert abs(due - (NOW + dt.timedelta(minutes=20))) < dt.timedelta(seconds=1)
    assert found.not_carried == ()
    [note] = read(entry("a", schedule=hourly, last_run_at="yesterday")).not_carried
    assert (note.field, note.weight) == ("last_run_at", Weight.CHANGED)


def test_an_exchange_without_a_queue_asks_for_one() -> None:
    """Its messages went to the queue `celery`, and nothing said so."""
    places = {"exchange": "media", "routing_key": "video"}
    [note] = read(entry("a", options=places)).not_carried
    assert (note.field, note.weight) == ("", Weight.LOST)
    assert "default_queue" in note.reason
    found = read(entry("a", options=places), queue="video")
    assert found.wanted[0].definition.task.queue == "video"
    [note] = found.not_carried
    assert (note.field, note.weight) == ("options.queue", Weight.CHANGED)
    # One with a queue says what it always said.
    named = read(entry("a", options={**places, "queue": "q"}), queue="video").wanted[0].definition.task.queue
    assert named == "q"


def test_notes_come_by_their_weight() -> None:
    found = read(
        entry("Name!", total_run_count=5),
        entry("zone", schedule={"kind": "crontab", "zone": "nowhere"}),
        entry("lost", options={"serializer": "pickle"}),
    )
    assert [note.weight for note in found.not_carried] == [
        Weight.LOST,
        Weight.CHANGED,
        Weight.RENAMED,
        Weight.RENAMED,
    ]
