"""Output of the processes: on the terminal with a prefix, and in full in a bounded file for each process."""

from __future__ import annotations

import errno
import json
import logging
import logging.handlers
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

FILE_BYTES = 10_000_000
OLD_FILES = 2
PREFIX_WIDTH = 19
LONGEST_VALUE = 100
COLOURS = (36, 32, 33, 35, 34, 96, 92, 93, 95, 94)
# Keys of a JSON line that the prefix or the line's beginning shows already.
SHOWN = ("timestamp", "level", "event", "service", "logger")


class Console:
    """The terminal: whole lines only, each with the name of its process in front."""

    def __init__(self, out: TextIO = sys.stdout, colour: bool | None = None) -> None:
        self._out = out
        self._colour = out.isatty() if colour is None else colour
        self._colours: dict[str, int] = {}

    def say(self, line: str) -> None:
        """Prints a line of the system itself, without prefix."""
        self._write(line)

    def pass_on(self, name: str, line: str) -> None:
        """Prints a line of a process."""
        self._write(f"{self._prefix(name)} {readable(line)}")

    def _prefix(self, name: str) -> str:
        prefix = f"{name:<{PREFIX_WIDTH}}|"
        if not self._colour:
            return prefix
        number = self._colours.setdefault(name, COLOURS[len(self._colours) % len(COLOURS)])
        return f"\033[{number}m{prefix}\033[0m"

    def _write(self, line: str) -> None:
        try:
            self._out.write(line + "\n")
            self._out.flush()
        except OSError as error:
            # A closed terminal must not take the system down; the files have everything.
            if error.errno not in (errno.EPIPE, errno.EIO, errno.ENOSPC, errno.EBADF):
                raise


def readable(line: str) -> str:
    """Returns a JSON log line as "time level event key=value …", any other line unchanged."""
    if not line.startswith("{"):
        return line
    try:
        fields = json.loads(line)
    except ValueError:
        return line
    # It begins with a brace, so it is an object.
    if "event" not in fields:
        return line
    event = fields["event"]
    time = str(fields.get("timestamp", ""))[11:19]
    values = [f"{key}={_cut(value)}" for key, value in fields.items() if key not in SHOWN]
    return " ".join([time, f"{fields.get('level', ''):<7}", str(event), *values]).strip()


def _cut(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST_VALUE else text[:LONGEST_VALUE] + "…"


class LogFile:
    """`<folder>/<name>.log`: a new file each 10 MB, the two before it kept as `.1` and `.2`."""

    def __init__(self, folder: Path, name: str, on_fault: Callable[[BaseException], None]) -> None:
        self._handler = _Handler(
            folder / f"{name}.log", maxBytes=FILE_BYTES, backupCount=OLD_FILES, encoding="utf-8"
        )
        self._handler.on_fault = on_fault

    def write(self, line: str) -> None:
        self._handler.emit(logging.makeLogRecord({"msg": line}))

    def close(self) -> None:
        self._handler.close()


class _Handler(logging.handlers.RotatingFileHandler):
    on_fault: Callable[[BaseException], None]

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        fault = sys.exc_info()[1]
        if fault is not None:
            self.on_fault(fault)
