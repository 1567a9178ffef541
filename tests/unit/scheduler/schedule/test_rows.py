"""What is read of a row can be decided on and sent, whatever it holds; what can't be is told in words."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kernel.zones import known_zones
from services.scheduler.dispatch.batches import written
from services.scheduler.dispatch.decide import decide
from services.scheduler.dispatch.fast_path import COLUMNS, InTime
from services.scheduler.dispatch.store_due import due_of
from services.scheduler.schedule.definition import Definition, Task
from services.scheduler.schedule.rows import RowUnreadable, plan_of, schedule_of, template_of, values_of
from services.scheduler.timing.crontab import parse_crontab
from services.scheduler.timing.due_times import CrontabTiming
from services.scheduler.timing.solar import EVENTS
from tests.unit.scheduler.definitions import DEFINITIONS

NOW = dt.datetime(2026, 11, 24, 12, tzinfo=dt.UTC)
# As asyncpg gives PostgreSQL's.
INFINITE = [dt.datetime.min, dt.datetime.max]  # noqa: DTZ901 # infinity has no zone
MOMENTS = st.datetimes(timezones=st.just(dt.UTC)) | st.sampled_from(INFINITE)
PAST = st.datetimes(max_value=dt.datetime(2026, 11, 24, 12), timezones=st.just(dt.UTC)) | st.just(INFINITE[0])
SECONDS = st.floats() | st.integers(-(10**6), 10**6).map(float) | st.just(60.0)
POSITIVE = SECONDS.filter(lambda seconds: not seconds < 0)
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=10)
ZONES = st.sampled_from(sorted(known_zones())) | st.sampled_from(["America", "", "Mars/Olympus", "x" * 300])
JSON = st.sampled_from(
    ["[]", "{}", "null", "7", '"x"', '{"a": "b"}', '{"a": 1}', "[1, ", "[1e999]", "[" * 2000 + "]" * 2000]
)
NO_TIMING: dict[str, Any] = dict.fromkeys(
    ("crontab", "interval_seconds", "anchor", "once_at", "solar_event", "latitude", "longitude")
)
TIMINGS = st.one_of(
    st.fixed_dictionaries(
        {
            "crontab": TEXTS
            | st.sampled_from(["* * * * *", "61 * * * *", "0 0 29 2 *", f"*/{'1' * 5000} * * * *"])
        }
    ),
    st.fixed_dictionaries({"interval_seconds": SECONDS, "anchor": MOMENTS}),
    st.fixed_dictionaries({"once_at": MOMENTS}),
    st.fixed_dictionaries(
        {"solar_event": TEXTS | st.sampled_from(sorted(EVENTS)), "latitude": SECONDS, "longitude": SECONDS}
    ),
)
# Any values that the types and constraints of the table let in.
COLUMNS_OF_ROWS: dict[str, st.SearchStrategy[Any]] = {
    "id": TEXTS,
    "task": TEXTS,
    "args_json": JSON,
    "kwargs_json": JSON,
    "queue": TEXTS,
    "priority": st.integers(-(2**15), 2**15 - 1),
    "expires": st.none() | SECONDS,
    "soft_time_limit": st.none() | SECONDS,
    "time_limit": st.none() | SECONDS,
    "headers": JSON,
    "time_zone": ZONES,
    "start_at": st.none() | MOMENTS,
    "end_at": st.none() | MOMENTS,
    "max_runs": st.none() | st.integers(1, 2**63 - 1),
    "run_count": st.integers(0, 2**63 - 1),
    "version": st.integers(1, 2**63 - 1),
    "jitter_seconds": st.just(0.0) | POSITIVE,
    "misfire": st.sampled_from(["skip", "run_once", "run_each"]),
    "misfire_window_seconds": SECONDS,
    "overlap": st.sampled_from(["allow", "skip", "queue", "cancel"]),
    "next_run_at": PAST,
    "next_due_at": st.none() | MOMENTS,
}
DUE = st.datetimes(dt.datetime(2, 1, 1), NOW.replace(tzinfo=None), timezones=st.just(dt.UTC))


@st.composite
def rows(draw: st.DrawFn) -> dict[str, Any]:
    """A row of the API's that somebody has written a few values into."""
    found = {**values_of(draw(DEFINITIONS), draw(DUE)), "run_count": 0, "task_namespace": None, "version": 1}
    for column in draw(st.lists(st.sampled_from([*COLUMNS_OF_ROWS, "timing"]), min_size=1, max_size=3)):
        if column == "timing":
            found |= NO_TIMING | draw(TIMINGS)
        else:
            found[column] = draw(COLUMNS_OF_ROWS[column])
    return found


BROKEN = {
    ("args_json", "[1, "): "args_json is not a JSON array (unexpected end of data: line 1 column 5 (char 4))",
    ("kwargs_json", "[]"): "kwargs_json is not a JSON object",
    ("headers", '{"n": 1}'): "headers is not a JSON object of texts",
    ("expires", float("nan")): "expires is nan, no number of seconds up to 1000 years",
    ("time_limit", float("inf")): "time_limit is inf, no number of seconds up to 1000 years",
    ("crontab", "0 3 * *"): "crontab has 4 fields, it needs 5",
    ("time_zone", "America"): "time_zone is 'America', no zone of the IANA database",
    ("start_at", INFINITE[1]): "start_at is infinite, or not between the years 1 and 9999",
    ("jitter_seconds", float("inf")): "jitter_seconds is inf, no number of seconds up to 1000 years",
    ("misfire", "later"): "misfire is 'later', none of skip, run_once, run_each",
}


def row(**changed: Any) -> dict[str, Any]:
    timing = CrontabTiming(parse_crontab("0 3 * * *"), "UTC")
    return {
        **values_of(Definition("s", Task("count"), timing), NOW),
        "run_count": 0,
        "task_namespace": None,
        "version": 1,
        **changed,
    }


@given(rows())
def test_what_can_be_read_can_be_decided_on_and_sent(row: dict[str, Any]) -> None:
    due = due_of(row)
    if due.what is None:
        assert due.fault
        return
    template, plan = due.what
    for run in decide(due.id, plan, due.due, NOW, due.left).runs:
        written(due.id, template, run.due_at, NOW, namespace=None)


@given(rows())
def test_the_fast_path_takes_nothing_that_cannot_be_read(row: dict[str, Any]) -> None:
    plain = {**row, "overlap": "allow", "next_run_at": NOW, "next_due_at": None, "once_at": None}
    plain |= {"solar_event": None, "start_at": None, "end_at": None, "max_runs": None, "jitter_seconds": 0}
    if plain["crontab"] is None and plain["interval_seconds"] is None:
        plain["crontab"] = "* * * * *"
    if InTime(NOW).take(tuple(plain[column] for column in COLUMNS.split(", "))):
        sound = {"misfire_window_seconds": 0.0}
        assert due_of(plain | sound).fault == ""


@given(DEFINITIONS)
def test_every_definition_of_the_api_is_read_as_it_was_written(definition: Definition) -> None:
    times = dict.fromkeys(("next_due_at", "next_run_at", "last_run_at", "created_at", "updated_at"))
    own = {"version": 1, "run_count": 0, "task_namespace": None}
    found = schedule_of({**values_of(definition, None), **times, **own})
    assert found.definition == definition and not found.faults


@pytest.mark.parametrize(("change", "fault"), BROKEN.items(), ids=lambda value: str(value)[:40])
def test_what_is_wrong_with_a_row_is_told_in_words(change: tuple[str, Any], fault: str) -> None:
    column, value = change
    broken = row(**{column: value})
    with pytest.raises(RowUnreadable) as told:
        plan_of(broken), template_of(broken)
    assert str(told.value) == fault
    assert due_of(broken).fault == fault


def test_a_mistake_of_our_own_is_not_taken_for_an_unreadable_row() -> None:
    """As after a column was renamed, and one reader forgotten."""
    for column in ("headers", "jitter_seconds", "run_count"):
        whole = row(max_runs=3)
        del whole[column]
        with pytest.raises(KeyError):
            due_of(whole)
    with pytest.raises(KeyError):
        schedule_of({name: value for name, value in row().items() if name != "time_zone"})
