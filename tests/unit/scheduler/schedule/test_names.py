"""The names of runs."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kernel.errors import Invalid
from services.scheduler.schedule.names import run_key, run_name

TAIPEI = dt.timezone(dt.timedelta(hours=8))


def test_a_run_is_named_by_its_due_time_in_utc() -> None:
    due = dt.datetime(2026, 11, 29, 11, 30, tzinfo=TAIPEI)
    assert run_name("a", due) == "schedules/a/runs/20261129T033000.000000Z"


@given(st.datetimes(min_value=dt.datetime(1, 1, 2), timezones=st.just(dt.UTC)))
def test_the_name_of_any_due_time_is_read_back_as_it(due: dt.datetime) -> None:
    assert run_key(run_name("nightly", due)) == ("nightly", due)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "schedules/a",
        "schedules/a/runs/",
        "schedules/a/runs/20261129T033000Z",
        "schedules/a/runs/20261129T033000.000000",
        "schedules/a/runs/20261129T250000.000000Z",
        "schedules/a/runs/2026112९T033000.000000Z",
        "schedules/A/runs/20261129T033000.000000Z",
        "schedules/a/backfills/20261129T033000.000000Z",
        "schedules/a/runs/20261129T033000.000000Z\n",
    ],
)
def test_what_is_not_the_name_of_a_run_is_refused(name: str) -> None:
    with pytest.raises(Invalid) as refused:
        run_key(name)
    assert [fault.field for fault in refused.value.faults] == ["name"]
    assert "schedules/" in refused.value.faults[0].example
