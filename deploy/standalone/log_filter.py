"""Which lines `make logs` shows: of a level and above, of a task, of a request, within a time."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cached_property

LEVELS = ("debug", "info", "warning", "error", "critical")
LEVEL = re.compile(rb'"level": ?"(\w+)"')
# How the servers name a level, in the order in which they are looked for.
OF_SERVERS = (
    # PostgreSQL. What follows a fault (DETAIL, HINT, STATEMENT) is of the level of the line before.
    (re.compile(rb"^\d{4}-\d\d-\d\d .*? (LOG|WARNING|ERROR|FATAL|PANIC|NOTICE|INFO|DEBUG\d?):  "), 1),
    # Envoy.
    (re.compile(rb"^\[\d{4}-\d\d-\d\d [^]]*\]\[\d+\]\[(\w+)\]"), 1),
    # Valkey marks its warnings by "#".
    (re.compile(rb"^\d+:[A-Z] \d\d \w+ \d{4} [\d:.]+ ([.*#-]) "), 1),
    # gRPC's C++ code, in our own processes.
    (re.compile(rb"^([IWEF])\d{4} \d\d:\d\d:\d+\.\d{6} "), 1),
)
NAMES = {
    "I": "info",
    "W": "warning",
    "E": "error",
    "F": "critical",
    "LOG": "info",
    "INFO": "info",
    "NOTICE": "info",
    "WARNING": "warning",
    "ERROR": "error",
    "FATAL": "critical",
    "PANIC": "critical",
    "trace": "debug",
    "off": "info",
    ".": "debug",
    "-": "info",
    "*": "info",
    "#": "warning",
}


def level_of(line: bytes) -> str:
    """Returns the level of a line; "" if it has none, as the second line of a message of two."""
    if line.startswith(b"{"):
        found = LEVEL.search(line)
        return found[1].decode() if found else ""
    for form, group in OF_SERVERS:
        if found := form.match(line):
            name = found[group].decode()
            return NAMES.get(name, "debug" if name.startswith("DEBUG") else name)
    return ""


@dataclass(frozen=True)
class Wanted:
    """What is asked for; an empty field asks for nothing. `since`, `until`: as log_times.py has them."""

    level: str = ""
    task: str = ""
    request: str = ""
    since: str = ""
    until: str = ""

    @property
    def needle(self) -> bytes:
        """Returns what every line that is asked for has in it; a whole block without it needs no look."""
        return _in_json(self.task or self.request)

    def takes(self, line: bytes) -> bool | None:
        """Returns whether the line is asked for; None: as the line before, to which it belongs.

        A line is of a task if it names it anywhere: also calls about the task, in whose path it is.
        """
        if self.task and not self._task.search(line):
            return False
        if self.request and not self._request.search(line):
            return False
        if not self.level:
            return True
        level = level_of(line)
        return None if not level else level in self._levels

    @cached_property
    def _levels(self) -> frozenset[str]:
        return frozenset(LEVELS[LEVELS.index(self.level) :])

    @cached_property
    def _task(self) -> re.Pattern[bytes]:
        # Not as a part of a longer id.
        return re.compile(rb"(?<![\w-])" + re.escape(_in_json(self.task)) + rb"(?![\w-])")

    @cached_property
    def _request(self) -> re.Pattern[bytes]:
        return re.compile(rb'"request_id": ?"' + re.escape(_in_json(self.request)) + rb'"')


def _in_json(text: str) -> bytes:
    return json.dumps(text, ensure_ascii=False)[1:-1].encode()
