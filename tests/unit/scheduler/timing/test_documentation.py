"""The examples in docs/scheduling.md are true."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from celeriac.scheduler.v1 import schedules_pb2 as pb
from google.protobuf import json_format

from services.kernel.validation import Faults
from services.scheduler.api import convert
from services.scheduler.timing.crontab import NICKNAMES, parse_crontab
from services.scheduler.timing.due_times import CrontabTiming, next_due

PAGE = (Path(__file__).parents[4] / "docs/scheduling.md").read_text()
ROW = re.compile(r"^\| `([^`]+)` \| ([\w/]+) \| (\d{4}-\S+ \S+) \| (\d{4}[^|]+) \|$", re.MULTILINE)


@pytest.mark.parametrize(("expression", "zone", "after", "due"), ROW.findall(PAGE))
def test_the_due_times_in_the_tables(expression: str, zone: str, after: str, due: str) -> None:
    place = ZoneInfo(zone)
    moment = dt.datetime.fromisoformat(after).replace(tzinfo=place).astimezone(dt.UTC)
    for expected in due.split(", "):
        found = next_due(CrontabTiming(parse_crontab(expression), zone), moment)
        assert found is not None
        assert found.astimezone(place).strftime("%Y-%m-%d %H:%M") == expected.strip()
        moment = found


def test_every_table_is_read() -> None:
    assert len(ROW.findall(PAGE)) == 17


def test_every_nickname_is_told_with_its_fields() -> None:
    for name, fields in NICKNAMES.items():
        assert f"`{name}`" in PAGE and f"`{fields}`" in PAGE


def test_the_schedule_on_the_page_is_a_schedule() -> None:
    whole = PAGE[PAGE.index("    {\n") : PAGE.index("    }\n") + 6]
    message = json_format.Parse(whole, pb.Schedule())
    faults = Faults()
    definition = convert.new_from(message, "UTC", dt.datetime(2026, 11, 24, tzinfo=dt.UTC), faults)
    faults.raise_any()
    assert definition is not None
    assert definition.jitter == dt.timedelta(seconds=30)
    assert definition.misfire.window == dt.timedelta(hours=2)


@pytest.mark.parametrize("example", re.findall(r'`(\{"(?:once|solar)".*?\}\})`', PAGE))
def test_each_timing_on_the_page_is_a_timing(example: str) -> None:
    message = json_format.Parse(example, pb.Timing())
    faults = Faults()
    now = dt.datetime(2026, 11, 24, tzinfo=dt.UTC)
    assert convert.proposed_timing(message, "UTC", now, faults)
    assert not faults
