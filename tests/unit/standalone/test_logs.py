"""What processes say, on the terminal and in files."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from deploy.standalone import logs
from deploy.standalone.follow import names, show
from deploy.standalone.logs import Console, LogFile, readable


def test_each_line_is_under_the_name_of_who_says_it() -> None:
    out = io.StringIO()
    console = Console(out)
    console.pass_on("scheduler", "one")
    console.pass_on("worker-analysis", "two")
    console.say("ready: now")
    assert out.getvalue() == "scheduler          | one\nworker-analysis    | two\nready: now\n"


def test_on_a_terminal_each_name_has_its_colour() -> None:
    out = io.StringIO()
    console = Console(out, colour=True)
    for name in ("one", "other", "one"):
        console.pass_on(name, "")
    first, second, third = (line.partition("m")[0] for line in out.getvalue().splitlines())
    assert first == third != second


def test_a_json_line_is_made_readable_and_any_other_left_alone() -> None:
    line = {
        "event": "run.published",
        "level": "info",
        "timestamp": "2026-11-24T14:02:03.1Z",
        "service": "scheduler",
        "logger": "services.scheduler",
        "schedule": "schedules/晨間",
        "count": 3,
        "args": "x" * 500,
    }
    told = readable(json.dumps(line))
    assert told.startswith("14:02:03 info    run.published schedule=schedules/晨間 count=3 args=xxx")
    assert len(told) < 250
    for other in ("plain", "{not json", '{"no": "event"}', "{}"):
        assert readable(other) == other


def test_a_log_file_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "FILE_BYTES", 1000)
    file = LogFile(tmp_path, "part", lambda fault: None)
    for number in range(200):
        file.write(f"line {number:04} with 30 characters..")
    file.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["part.log", "part.log.1", "part.log.2"]
    assert all(path.stat().st_size <= 1000 for path in tmp_path.iterdir())


def test_logs_are_shown_in_the_order_of_time_and_followed_into_a_new_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "FILE_BYTES", 200)
    one, other = (LogFile(tmp_path, name, lambda fault: None) for name in ("one", "other"))
    one.write('{"event": "first", "timestamp": "2026-11-24T14:00:00Z"}')
    other.write("2026-11-24 14:00:01.000 UTC second")
    other.write("  of two lines")
    one.write('{"event": "third", "timestamp": "2026-11-24T14:00:02Z"}')
    out = io.StringIO()
    rounds = iter([True, True, True, False])

    def goes_on() -> bool:
        one.write(f"later {'x' * 100}")
        return next(rounds)

    show(tmp_path, names(tmp_path), Console(out), goes_on)
    one.close()
    other.close()
    lines = [line.partition("| ")[2] for line in out.getvalue().splitlines()]
    assert [line.split()[1 if "14:00" in line else 0] for line in lines[:4]] == [
        "first",
        "14:00:01.000",
        "of",
        "third",
    ]
    assert [line[:5] for line in lines[4:]] == ["later"] * 3
