"""What processes say, on the terminal and in files."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from deploy.standalone import logs
from deploy.standalone.brief import brief, readable, short
from deploy.standalone.follow import show
from deploy.standalone.log_files import names
from deploy.standalone.log_filter import Wanted
from deploy.standalone.logs import Console, LogFile


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

    show(tmp_path, names(tmp_path), Wanted(), Console(out), goes_on)
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


def answered(**fields: object) -> str:
    """The gateway's line about a call."""
    usual = {
        "event": "gateway.answered",
        "timestamp": "2026-11-24T14:02:03.100Z",
        "http_method": "POST",
        "path": "/celeriac.scheduler.v1.ScheduleService/TriggerSchedule",
        "status": 200,
        "code": "OK",
        "milliseconds": 12,
        "actor": "mei",
        "address": "127.0.0.1",
        "request_id": "d82aa962-d4a6-41cc-b0cc-439901e82fd6",
        "user_agent": "grpcurl/1.8.6",
    }
    return json.dumps({**usual, **fields})


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (answered(), "14:02:03 ScheduleService/TriggerSchedule  OK  12 ms  mei"),
        (
            answered(code="NOT_FOUND"),
            "14:02:03 ScheduleService/TriggerSchedule  NOT_FOUND  12 ms  mei",
        ),
        (
            answered(http_method="GET", path="/v1/schedules", code=None),
            "14:02:03 GET /v1/schedules  200  12 ms  mei",
        ),
        (
            answered(http_method="GET", path="/v1/schedules", code=None, status=401, actor=None),
            "14:02:03 GET /v1/schedules  401  12 ms  127.0.0.1",
        ),
    ],
)
def test_on_the_terminal_a_call_is_one_short_line(line: str, shown: str) -> None:
    assert brief("gateway", line) == shown


def test_on_the_terminal_a_service_shows_what_is_wrong_and_not_what_is_usual() -> None:
    def of_level(level: str, event: str = "run.published") -> str | None:
        return brief("scheduler", json.dumps({"event": event, "level": level, "count": 3}))

    assert of_level("info") is None
    assert of_level("info", "rpc.answered") is None
    for level in ("warning", "error", "critical"):
        assert "run.published count=3" in (of_level(level) or "")
    # What Python itself prints, such as the reason for which a process does not start.
    assert brief("scheduler", "the settings can't be used:") == "the settings can't be used:"


@pytest.mark.parametrize(
    ("name", "line", "is_shown"),
    [
        ("postgres", "2026-11-29 21:31:13.400 UTC [1] LOG:  database system is ready", False),
        (
            "postgres",
            '2026-11-29 21:31:13.580 UTC [1] postgres FATAL:  database "celeriac" does not exist',
            False,
        ),
        ("postgres", "2026-11-29 21:31:13.580 UTC [1] PANIC:  could not write to file", True),
        ("valkey", "12434:M 29 Nov 2026 21:31:12.435 * Running mode=standalone, port=8444.", False),
        ("valkey", "12434:M 29 Nov 2026 21:32:05.292 # Valkey is now ready to exit, bye bye...", False),
        ("valkey", "12434:M 29 Nov 2026 21:31:12.435 # WARNING Memory overcommit must be enabled!", False),
        ("postgres", "2026-11-29 21:31:13.580 UTC [1] FATAL:  the database system is starting up", False),
        ("valkey", "12434:M 29 Nov 2026 21:32:05.292 # Error writing to the AOF file", True),
        (
            "gateway",
            "[2026-11-29 21:32:02.504][1][warning][main] [server.cc:1028] caught ENVOY_SIGTERM",
            False,
        ),
        ("gateway", "[2026-11-29 21:32:02.504][1][error][main] [server.cc:10] no such cluster", True),
        ("worker-analysis", "", False),
    ],
)
def test_on_the_terminal_servers_show_their_faults(name: str, line: str, is_shown: bool) -> None:
    assert brief(name, line) == (line if is_shown else None)


def test_on_a_terminal_no_line_is_wider_than_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    out = io.StringIO()
    console = Console(out, colour=False, brief=True)
    error = {"event": "it.failed", "level": "error", "error": "x" * 400, "reason": "no room"}
    console.pass_on("scheduler", json.dumps(error))
    shown = out.getvalue().rstrip()
    assert len(shown) in (79, 80)
    # What happened is at the beginning, why at the end.
    assert "it.failed" in shown and "…" in shown and shown.endswith("reason=no room")


def test_on_a_narrow_terminal_a_call_still_shows_its_code_and_who_made_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    out = io.StringIO()
    call = {
        "event": "gateway.answered",
        "timestamp": "2026-11-30T02:42:45.123Z",
        "http_method": "POST",
        "path": "/v1/schedules/process-new-chat-vectors-hourly-and-for-all-users:trigger",
        "status": 403,
        "milliseconds": 55,
        "actor": "operator",
    }
    Console(out, colour=False, brief=True).pass_on("gateway", json.dumps(call))
    assert len(out.getvalue().rstrip()) <= 100
    assert "| 02:42:45 POST /v1/schedules/" in out.getvalue()
    assert out.getvalue().rstrip().endswith(":trigger  403  55 ms  operator")


def test_the_systems_own_lines_are_broken_between_words_and_keep_every_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    out = io.StringIO()
    said = f"the start failed: {'word ' * 30}for example: CELERIAC_MODEL=/srv/a-model/of-ours"
    Console(out, colour=False, brief=True).pass_on("celeriac", said)
    lines = out.getvalue().splitlines()
    assert len(lines) > 1 and all(len(line) <= 100 for line in lines)
    parts = [line.partition("| ")[2] for line in lines]
    assert " ".join(parts) == said


def test_what_the_end_of_other_services_brings_is_shown_unless_the_system_stops() -> None:
    line = json.dumps({"event": "config.not_followed", "level": "warning"})
    assert "config.not_followed" in (brief("audit", line) or "")
    assert brief("audit", line, stopping=True) is None
    other = json.dumps({"event": "task.lost", "level": "warning"})
    assert "task.lost" in (brief("audit", other, stopping=True) or "")


def test_what_a_browser_asks_for_with_each_page_is_not_shown_unless_it_fails() -> None:
    def of(path: str, code: int) -> str | None:
        return brief("gateway", answered(http_method="GET", path=path, code=None, status=code))

    for path in ("/assets/index-4f2a.js", "/favicon.svg"):
        assert of(path, 200) is None
        assert path in (of(path, 404) or "")
    assert "GET /assets-of-shop  200" in (of("/assets-of-shop", 200) or "")


def test_on_a_terminal_logs_show_lines_in_its_width_and_to_their_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    out = io.StringIO()
    console = Console(out, colour=False, fitted=True)
    console.pass_on("gateway", answered())
    console.pass_on("scheduler", json.dumps({"event": "run.published", "level": "info", "args": "x" * 300}))
    console.pass_on(
        "relay",
        json.dumps({"event": "broke", "level": "error", "error": "why " * 100 + "the end", "host": "h"}),
    )
    call, event, *fault = [line.partition("| ")[2] for line in out.getvalue().splitlines()]
    assert call == "14:02:03 ScheduleService/TriggerSchedule  OK  12 ms  mei"
    assert "run.published" in event
    told = " ".join(fault)
    assert told.count("why") == 100 and told.endswith("the end host=h")
    assert all(len(line) <= 100 for line in out.getvalue().splitlines())


def test_on_a_terminal_a_line_is_without_what_surrounds_it() -> None:
    fields = {
        "event": "task.ended",
        "level": "info",
        "state": "SUCCESS",
        "schedule": "nightly",
        "task_id": "t-1",
    }
    around = {"run": "schedules/nightly/runs/1", "request_id": "ticket-1", "method": "/a.B/C"}
    assert short(json.dumps({**fields, **around})) == (
        "info    task.ended state=SUCCESS schedule=nightly task_id=t-1"
    )
    # Of a call the method is what it is about.
    assert "method=/a.B/C" in short(json.dumps({**around, "event": "rpc.answered", "level": "info"}))


def test_on_a_terminal_what_is_said_is_broken_between_words_but_no_command_to_copy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    out = io.StringIO()
    console = Console(out, colour=False, brief=True)
    console.say("ready, and " + "more " * 12)
    console.say("  curl " + "x" * 60)
    assert "\n  curl " + "x" * 60 + "\n" in out.getvalue()
    assert all(len(line) <= 40 for line in out.getvalue().splitlines() if "curl" not in line)
