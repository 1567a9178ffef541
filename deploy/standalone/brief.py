"""What the terminal shows of a line that a process writes: calls in one short line each, and what is wrong.

The files have every line in full (`make logs`). On the terminal a person looks for two things: what became of
the call that they have just made, and whether something is wrong.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

# Who makes the calls of a first start: `make up` itself, which tells what it did.
FIRST_START = "first-start"
# The gateway's line about a call, and the services' own, which says the same once more.
AT_THE_GATEWAY, AT_A_SERVICE = "gateway.answered", "rpc.answered"
WORTH_SHOWING = frozenset({"warning", "error", "critical"})
# Servers with logs of their own form: the lines that tell of a fault.
FAULT = {
    "postgres": re.compile(r" (WARNING|ERROR|FATAL|PANIC): "),
    # Valkey marks its warnings so.
    "valkey": re.compile(r"^\d+:[A-Z] .* # "),
    "gateway": re.compile(r"\]\[(warning|error|critical)\]\["),
}
# Lines of these servers that tell of no fault though they look so: they belong to a usual start or stop.
USUAL = re.compile(
    r'database "celeriac" does not exist|the database system is (starting up|shutting down)'
    r"|caught ENVOY_SIGTERM|Valkey is now ready to exit|WARNING Memory overcommit must be enabled"
)
# Warnings of services that the end of another service brings: at a stop they tell of no fault.
AT_A_STOP = frozenset({"config.not_followed", "outcomes.stream_broke"})
# What a browser asks for with each page; the page itself is shown.
OF_A_PAGE = re.compile(r"/assets/|/favicon\.svg$")
# Keys of a JSON line that the prefix or the line's beginning shows already.
SHOWN = ("timestamp", "level", "service", "logger", "event", "message")
# Keys that many lines of one call have in common: left out where a line has the width of a terminal.
CONTEXT = frozenset({"request_id", "token_id", "address", "user_agent"})
# What went wrong is told to its end in a line of its own; of other values the beginning says enough.
TELLING = frozenset({"error", "detail", "fault", "remark", "reason"})
LONGEST_VALUE, LONGEST_TELLING = 100, 2000


def brief(name: str, line: str, stopping: bool = False) -> str | None:
    """Returns the line for the terminal, or None if it is not to be shown there.

    `stopping`: the system is about to end, so what that brings is not shown.
    """
    fields = fields_of(line)
    if fields is None:
        fault = FAULT.get(name)
        shown = fault is None or (fault.search(line) and not USUAL.search(line))
        return line if shown and line.strip() else None
    if fields["event"] == AT_THE_GATEWAY:
        usual = fields.get("actor") == FIRST_START or _is_part_of_a_page(fields)
        return None if usual else _call(fields)
    if fields["event"] == AT_A_SERVICE or fields.get("level") not in WORTH_SHOWING:
        return None
    return None if stopping and fields["event"] in AT_A_STOP else _in_words(fields)


def short(line: str) -> str:
    """Returns the line as one of a terminal: a call as `brief` shows it, any other without its context."""
    fields = fields_of(line)
    if fields is None:
        return line
    if fields["event"] == AT_THE_GATEWAY:
        return _call(fields)
    return _in_words({name: value for name, value in fields.items() if not _is_context(name, fields)})


def _is_context(name: str, fields: Mapping[str, Any]) -> bool:
    """Whether a field tells of the call or the run around what happened, and would leave no room for that."""
    if name == "method":
        return bool(fields["event"] != AT_A_SERVICE)
    return name in CONTEXT or (name == "run" and "schedule" in fields)


def _is_part_of_a_page(fields: Mapping[str, Any]) -> bool:
    return fields.get("status", 0) < 400 and OF_A_PAGE.match(str(fields.get("path", ""))) is not None


def fields_of(line: str) -> Mapping[str, Any] | None:
    """Returns the fields of a JSON log line; None for any other line."""
    if not line.startswith("{"):
        return None
    try:
        fields: dict[str, Any] = json.loads(line)
    except ValueError:
        return None
    return fields if "event" in fields else None


def readable(line: str) -> str:
    """Returns a JSON log line as "time level event key=value …", any other line unchanged."""
    fields = fields_of(line)
    return line if fields is None else _in_words(fields)


def _in_words(fields: Mapping[str, Any]) -> str:
    # What is said in a sentence stands for the name of its event, in one line.
    told = " ".join(str(fields["message"]).split()) if "message" in fields else str(fields["event"])
    values = [f"{key}={_cut(key, value)}" for key, value in fields.items() if key not in SHOWN]
    return " ".join([_time_in(fields), f"{fields.get('level', ''):<7}", told, *values]).strip()


def _call(fields: Mapping[str, Any]) -> str:
    """Returns "time method or path, code, milliseconds, who" of a call."""
    path, verb = str(fields.get("path", "")), str(fields.get("http_method", ""))
    # "/celeriac.scheduler.v1.ScheduleService/TriggerSchedule": the last two words say enough.
    rpc = re.fullmatch(r"/celeriac\.[\w.]*\.(\w+/\w+)", path)
    code = str(fields.get("code") or fields.get("status", ""))
    who = fields.get("actor") or fields.get("address") or ""
    called = rpc[1] if rpc else f"{verb} {path}"
    return f"{_time_in(fields)} {called}  {code}  {fields.get('milliseconds', '?')} ms  {who}"


def _time_in(fields: Mapping[str, Any]) -> str:
    """Returns hours, minutes and seconds in UTC; "" if the line has no time."""
    return str(fields.get("timestamp", ""))[11:19]


def _cut(key: str, value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    longest = LONGEST_TELLING if key in TELLING else LONGEST_VALUE
    return text if len(text) <= longest else text[:longest] + "…"
