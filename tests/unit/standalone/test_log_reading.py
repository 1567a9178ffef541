"""`make logs`: which lines of files of any size are shown, in which order; what is said of wrong values."""

from __future__ import annotations

import argparse
import datetime as dt
import errno
import io
import json
import random
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.standalone import follow, log_files
from deploy.standalone.follow import show
from deploy.standalone.log_command import logs
from deploy.standalone.log_files import History, names
from deploy.standalone.log_filter import LEVELS, Wanted, level_of
from deploy.standalone.log_times import NoTime, time_in, typed, without_year
from deploy.standalone.logs import Console, JsonLines
from deploy.standalone.settings import StandaloneSettings
from services.kernel.log_lines import moment
from tests.support.log_lines import fault_of

BEGAN = dt.datetime(2026, 11, 30, 12, tzinfo=dt.UTC)
NOW = dt.datetime(2026, 11, 30, 12, 30, tzinfo=dt.UTC)


@pytest.fixture
def taipei(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The machine's own zone."""
    monkeypatch.setenv("TZ", "Asia/Taipei")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def line(number: int, seconds: float, level: str = "info", **more: object) -> str:
    fields = {"timestamp": moment(BEGAN + dt.timedelta(seconds=seconds)), "level": level}
    named = {"service": "scheduler", "logger": "services.scheduler", "event": "run.published"}
    return json.dumps({**fields, **named, "number": number, **more})


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a short file has many."""
    monkeypatch.setattr(log_files, "BLOCK", 700)
    monkeypatch.setattr(log_files, "BLOCK_AT_THE_END", 300)


@pytest.fixture
def folder(tmp_path: Path, small_blocks: None) -> Path:
    """Three files of a process: 900 lines, a second apart, some seconds out of order, some of two lines."""
    draw = random.Random(7)
    written = []
    for number in range(900):
        level = draw.choices(LEVELS, (2, 80, 10, 5, 3))[0]
        request = {"request_id": f"call-{number % 50}"}
        written.append(line(number, number + draw.uniform(-1, 1), level, **request, text="x" * (number % 90)))
        if number % 30 == 0:
            written.append(f"  and more of {number}")
    third = len(written) // 3
    for at, name in enumerate(("scheduler.log.2", "scheduler.log.1", "scheduler.log")):
        part = written[at * third : (at + 1) * third if at < 2 else None]
        (tmp_path / name).write_text("\n".join(part) + "\n")
    return tmp_path


def shown(folder: Path, wanted: Wanted) -> list[str]:
    out = io.StringIO()
    show(folder, names(folder), wanted, JsonLines(out), lambda: False)
    return [str(json.loads(each).get("number", json.loads(each).get("message"))) for each in lines_of(out)]


def lines_of(out: io.StringIO) -> list[str]:
    return out.getvalue().splitlines()


def by_hand(folder: Path, wanted: Wanted) -> list[str]:
    """The same, by reading all: what has no time belongs to the line before."""
    found, at, taken = [], "", False
    for name in ("scheduler.log.2", "scheduler.log.1", "scheduler.log"):
        for text in (folder / name).read_bytes().splitlines():
            at = time_in(text) or at
            takes = wanted.takes(text)
            taken = taken if takes is None else takes
            if taken and wanted.since <= at and not (wanted.until and at > wanted.until):
                found.append(str(json.loads(text)["number"]) if text.startswith(b"{") else text.decode())
    return found


def at(seconds: float) -> str:
    return moment(BEGAN + dt.timedelta(seconds=seconds)).removesuffix("Z")


@pytest.mark.parametrize("level", ["", "warning", "critical"])
@pytest.mark.parametrize("request_id", ["", "call-7", "call-none"])
@pytest.mark.parametrize(
    ("since", "until"), [(-10, 2000), (0, 5), (299.5, 301), (450, 451), (895, 2000), (-10, -5), (2000, 3000)]
)
def test_what_is_shown_is_what_reading_every_line_would_find(
    folder: Path, level: str, request_id: str, since: float, until: float
) -> None:
    wanted = Wanted(level=level, request=request_id, since=at(since), until=at(until))
    assert sorted(shown(folder, wanted)) == sorted(by_hand(folder, wanted))


@pytest.mark.parametrize("until", [0.0, 50, 310, 2000])
@pytest.mark.parametrize("level", ["", "error"])
def test_without_since_the_newest_are_shown(folder: Path, level: str, until: float) -> None:
    wanted = Wanted(level=level, until=at(until))
    assert shown(folder, wanted) == by_hand(folder, wanted)[-follow.LAST_LINES :]


def test_a_line_longer_than_any_block_is_whole(tmp_path: Path, small_blocks: None) -> None:
    long = line(1, 1, text="y" * 5000)
    (tmp_path / "one.log").write_text(f"{line(0, 0)}\n{long}\n{line(2, 2)}\n")
    for wanted in (Wanted(), Wanted(since=at(0.5))):
        out = io.StringIO()
        show(tmp_path, ["one"], wanted, JsonLines(out), lambda: False)
        assert long in lines_of(out)


def test_an_id_that_two_blocks_share_is_found(tmp_path: Path, small_blocks: None) -> None:
    for before in range(560, 720):
        (tmp_path / "one.log").write_text(
            f"{'z' * before}\n{line(1, 1, request_id='call-12345678')}\n{line(2, 2)}\n"
        )
        assert shown(tmp_path, Wanted(request="call-12345678", since=at(0))) == ["1"], before


def test_lines_of_all_processes_are_in_the_order_of_time(tmp_path: Path) -> None:
    for name, start in (("monitor", 0.5), ("scheduler", 0.0), ("audit", 0.25)):
        written = [line(4 * second + int(4 * start), second + start) for second in range(50)]
        (tmp_path / f"{name}.log").write_text("\n".join(written) + "\n")
    numbers = [int(number) for number in shown(tmp_path, Wanted(since=at(0)))]
    assert numbers == sorted(numbers) and len(numbers) == 150


def test_new_lines_are_chosen_as_old_ones_are(tmp_path: Path) -> None:
    log = tmp_path / "scheduler.log"
    log.write_text(line(1, 1, "error", task_id="t-1") + "\n" + line(2, 2, task_id="t-1") + "\n")
    more = iter([line(3, 3, "error", task_id="t-1"), line(4, 4, "error", task_id="t-11"), line(5, 5, "info")])

    def goes_on() -> bool:
        new = next(more, None)
        if new is not None:
            with log.open("a") as file:
                file.write(new + "\n")
        return new is not None

    out = io.StringIO()
    show(tmp_path, ["scheduler"], Wanted(level="error", task="t-1"), JsonLines(out), goes_on)
    assert [json.loads(each)["number"] for each in lines_of(out)] == [1, 3]


def test_a_task_is_found_by_its_whole_id_wherever_a_line_names_it() -> None:
    wanted = Wanted(task="t-1")
    assert wanted.takes(b'{"path": "/v1/tasks/t-1:retry"}') and wanted.takes(b'{"retry_of": "t-1"}')
    assert not wanted.takes(b'{"task_id": "t-12"}') and not wanted.takes(b'{"task_id": "at-1"}')


@pytest.mark.usefixtures("taipei")
def test_a_time_without_a_year_is_the_newest_that_it_can_be() -> None:
    new_year = dt.datetime(2027, 1, 1, 0, 30).astimezone()
    assert without_year("1231 23:59:59", new_year) == "2026-12-31T15:59:59"
    assert without_year("0101 00:00:01", new_year) == "2026-12-31T16:00:01"


def test_a_line_without_a_time_has_that_of_the_line_before_it() -> None:
    out = io.StringIO()
    lines = JsonLines(out)
    lines.pass_on("scheduler", line(0, 0.25))
    lines.pass_on("relay", "WARNING: All log messages before absl::InitializeLog() is called go to STDERR")
    assert json.loads(out.getvalue().splitlines()[1])["timestamp"] == "2026-11-30T12:00:00.250000Z"


@pytest.mark.usefixtures("taipei")
@pytest.mark.parametrize(
    ("text", "at", "level"),
    [
        (line(0, 0.25, "warning"), "2026-11-30T12:00:00.250000", "warning"),
        ('{"path":"x","level":"info","timestamp":"2026-11-30T12:00:00.1Z"}', "2026-11-30T12:00:00.1", "info"),
        (
            '{"user_agent":"\\"timestamp\\":\\"2000-01-01T00:00:00Z\\"","timestamp":"2026-11-30T12:00:00.1Z"}',
            "2026-11-30T12:00:00.1",
            "",
        ),
        ("2026-11-30 12:00:00.123 UTC [7] a@b ERROR:  no", "2026-11-30T12:00:00.123", "error"),
        ("2026-11-30 12:00:00.123 UTC [7] FATAL:  no", "2026-11-30T12:00:00.123", "critical"),
        ("2026-11-30 12:00:00.123 UTC [7] LOG:  yes", "2026-11-30T12:00:00.123", "info"),
        # The local clocks of Envoy and Valkey.
        ("[2026-11-30 20:00:00.123][9][error][main] [a.cc:1] no", "2026-11-30T12:00:00.123", "error"),
        ("7407:M 30 Nov 2026 20:00:00.123 # Error writing", "2026-11-30T12:00:00.123", "warning"),
        ("7407:M 30 Nov 2026 20:00:00.123 * Ready", "2026-11-30T12:00:00.123", "info"),
        # gRPC's own, before it has set its log up, and after.
        ("I0000 00:00:1796040000.123456   71 chttp2.cc:9] no", "2026-11-30T12:00:00.123456", "info"),
        ("W9999 20:00:00.123456 71 chttp2.cc:9] no", "", "warning"),
        ("  File x, line 3", "", ""),
        ("", "", ""),
    ],
)  # fmt: skip
def test_time_and_level_of_a_line_of_each_server(text: str, at: str, level: str) -> None:
    assert (time_in(text.encode()), level_of(text.encode())) == (at, level)
    if at and not text.startswith("{"):
        out = io.StringIO()
        JsonLines(out).pass_on("postgres", text)
        assert fault_of(out.getvalue()) == ""
        assert json.loads(out.getvalue())["timestamp"] == f"{at:<026}Z"


@pytest.mark.usefixtures("taipei")
@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("10m", "2026-11-30T12:20:00.000000"),
        ("1h30m", "2026-11-30T11:00:00.000000"),
        ("2d", "2026-11-28T12:30:00.000000"),
        ("45s", "2026-11-30T12:29:15.000000"),
        # It is 20:30 there: this evening, and what is yet to come was yesterday.
        ("20:15", "2026-11-30T12:15:00.000000"),
        ("20:15:30", "2026-11-30T12:15:30.000000"),
        ("21:00", "2026-11-29T13:00:00.000000"),
        ("8:05", "2026-11-30T00:05:00.000000"),
        ("2026-11-30T12:00:00Z", "2026-11-30T12:00:00.000000"),
        ("2026-11-30T13:00:00.5+01:00", "2026-11-30T12:00:00.500000"),
        ("2026-11-30T20:00", "2026-11-30T12:00:00.000000"),
        ("2026-11-30 20:00:00", "2026-11-30T12:00:00.000000"),
        ("2026-11-30", "2026-11-29T16:00:00.000000"),
    ],
)
def test_times_as_people_type_them(text: str, meant: str) -> None:
    assert typed(text, NOW) == meant


@pytest.mark.parametrize(
    "text", ["", "soon", "25:00", "12:60", "-10m", "10", "10 m", "1m2h", "2026-13-01T00:00Z"]
)
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(NoTime):
        typed(text, NOW)


def test_an_age_beyond_the_calendar_is_no_time() -> None:
    with pytest.raises(NoTime, match="longer ago"):
        typed("99999999999d", NOW)


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({"since": "soon"}, "SINCE=soon is no time: give 10m .*; for example: make logs SINCE=10m"),
        ({"until": "25:00"}, "UNTIL=25:00 is no time: .*; for example: make logs UNTIL=10m"),
        ({"since": "1h", "until": "2h"}, "UNTIL=2h is before SINCE=1h; for example: .*SINCE=2h UNTIL=1h"),
        ({"level": "loud"}, "LEVEL=loud is none of debug, info, .*; for example: make logs LEVEL=warning"),
        ({"task": "a\tb"}, r"TASK='a\\tb' must have .*; for example: make logs TASK=.*"),
        ({"request": "x" * 301}, "REQUEST='x+' must have at most 300 .* REQUEST=ticket-4711"),
        ({"name": "beat"}, "NAME=beat has no log in .*; there are: scheduler"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_told_with_its_variable_and_an_example(
    tmp_path: Path, given: dict[str, str], fault: str
) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs/scheduler.log").touch()
    options = dict.fromkeys(("name", "since", "until", "level", "task", "request"), "")
    asked = argparse.Namespace(**{**options, **given, "follow": False, "long": False})
    with pytest.raises(SystemExit) as refused:
        logs(StandaloneSettings(state=tmp_path), asked)
    assert re.fullmatch(fault, str(refused.value)), refused.value


def test_a_reader_that_goes_away_ends_it(tmp_path: Path) -> None:
    (tmp_path / "scheduler.log").write_text("\n".join(line(number, number) for number in range(90)) + "\n")

    class Gone(io.StringIO):
        def write(self, _: str) -> int:
            raise BrokenPipeError(errno.EPIPE, "nobody reads")

    for out in (JsonLines(Gone()), Console(Gone())):
        show(tmp_path, ["scheduler"], Wanted(), out, lambda: True)
        assert out.closed


def test_a_file_that_is_replaced_while_it_is_opened_is_read_once(tmp_path: Path) -> None:
    (tmp_path / "scheduler.log").write_text(line(1, 1) + "\n")
    (tmp_path / "scheduler.log.1").hardlink_to(tmp_path / "scheduler.log")
    with History(tmp_path, "scheduler") as history:
        assert len(history.newest(Wanted(), 10)) == 1


def test_on_a_terminal_faults_have_the_colour_of_their_level() -> None:
    out = io.StringIO()
    console = Console(out, colour=True)
    for level in ("info", "warning", "error"):
        console.pass_on("scheduler", line(1, 1, level))
    usual, warning, error = lines_of(out)
    assert usual.count("\033[") == 2
    assert "\033[33m" in warning and "\033[31m" in error and error.endswith("\033[0m")
