"""What docs/manifests.md and docs/coming-from-another-beat.md show is so."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import re
from pathlib import Path

import pytest
from celeriac.beat_dump import SOURCES

from services.kernel.validation import Faults
from services.scheduler.manifests.difference import difference
from services.scheduler.manifests.read import FIELDS, TIMINGS, Wanted, read_manifest
from services.scheduler.manifests.take_over_entry import OPTIONS
from services.scheduler.schedule.definition import Schedule

DOCS = Path(__file__).parents[4] / "docs"
PAGE = (DOCS / "manifests.md").read_text()
MOVING = (DOCS / "coming-from-another-beat.md").read_text()
EXAMPLE = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)[0]
ROWS = re.findall(r"^\| (`[a-z_`, ]+`) \| (`.+?`) \|", PAGE, re.MULTILINE)
NOW = dt.datetime(2026, 11, 24, tzinfo=dt.UTC)


def read(text: str) -> list[Wanted]:
    faults = Faults()
    found = read_manifest(text, "Asia/Taipei", NOW, faults)
    faults.raise_any()
    return found


def test_the_manifest_on_the_page_is_one() -> None:
    assert len(read(EXAMPLE)) == 5


def test_every_field_is_told_and_no_other() -> None:
    told = [name for names, _ in ROWS for name in re.findall(r"[a-z_]+", names)]
    assert sorted(told) == sorted(FIELDS)


@pytest.mark.parametrize(("names", "examples"), ROWS)
def test_the_example_of_each_field_is_taken(names: str, examples: str) -> None:
    fields, values = re.findall(r"[a-z_]+", names), re.findall(r"`(.+?)`", examples)
    for field, value in zip(fields, values * len(fields) if len(values) == 1 else values, strict=True):
        entry: dict[str, object] = {"id": "one", "task": "count"}
        if field == "anchor":
            entry["every"] = "30s"
        elif field not in TIMINGS:
            entry["crontab"] = "0 2 * * *"
        if field == "pause_note":
            entry["paused"] = True
        lines = [f"{name}: {json.dumps(each)}" for name, each in entry.items() if name != field]
        assert read("schedules:\n- " + "\n  ".join([*lines, f"{field}: {value}"]))


def test_the_difference_on_the_page_is_what_is_told() -> None:
    before = [each.definition for each in read(EXAMPLE) if each.definition.id != "heartbeat"]
    stored = [Schedule(each, 1, NOW, None, NOW, NOW) for each in before]
    wanted = read(EXAMPLE.replace("crontab: 30 3", "crontab: 30 4"))
    shown = PAGE[PAGE.index("    ~ update-question") : PAGE.index("3 unchanged\n") + 12]
    told = difference(wanted, stored, [], NOW, "").text
    # The page tells them in another order of ids: sorted, as the difference is.
    assert sorted(told.splitlines()) == sorted(line[4:] for line in shown.splitlines())


def test_pauses_and_anchors_are_all_that_a_manifest_leaves_open() -> None:
    text = "schedules: [{id: one, task: count, every: 30s}]"
    (found,) = read(text)
    current = dataclasses.replace(found.definition, paused=True, pause_note="mei", description="old")
    settled = found.settled(current)
    assert settled == dataclasses.replace(current, description="")


def test_every_source_of_a_dump_is_told() -> None:
    assert re.findall(r"^\| `python -m celeriac\.beat_dump (\S+) shop`", MOVING, re.MULTILINE) == list(
        SOURCES
    )


def test_what_the_page_says_of_options_is_so() -> None:
    row = next(line for line in MOVING.splitlines() if "other options of `apply_async`" in line)
    assert set(re.findall(r"`(\w+)`", row.split("|")[1])) - {"apply_async"} <= OPTIONS.keys()
