"""Output of the processes: on the terminal with a prefix, and in full in a bounded file for each process."""

from __future__ import annotations

import datetime as dt
import errno
import json
import logging
import logging.handlers
import shutil
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, TextIO

from deploy.standalone.brief import brief, fields_of, readable, short
from deploy.standalone.log_filter import level_of
from deploy.standalone.log_times import time_in
from services.kernel.log_lines import FIRST, moment

FILE_BYTES = 10_000_000
OLD_FILES = 2
PREFIX_WIDTH = 19
# The name that the system's own lines are under.
OWN_NAME = "celeriac"
# Of names. Red and yellow are those of levels.
COLOURS = (36, 32, 35, 34, 96, 92, 95, 94)
OF_LEVELS = {"warning": 33, "error": 31, "critical": 31}
PLAIN = "\033[0m"


class Console:
    """The terminal: whole lines only, each with the name of its process in front.

    `brief`: only calls and faults are shown, each in one line of the terminal. `fitted`: all is, without what
    many lines of one call have in common, in as many lines as it takes. By default all is, in full.
    `stopping` is set when the system stops. `closed`: nobody reads it any more.
    """

    def __init__(
        self,
        out: TextIO = sys.stdout,
        colour: bool | None = None,
        brief: bool = False,
        fitted: bool = False,
    ) -> None:
        self._out = out
        self._colour = out.isatty() if colour is None else colour
        self._brief = brief
        self._fitted = fitted
        self.stopping = False
        self.closed = False
        self._colours: dict[str, int] = {}

    def say(self, line: str) -> None:
        """Prints a line of the system itself, without prefix and in full.

        A line that begins with a space is a command to copy, and stays as it is.
        """
        whole = not self._brief or line.startswith(" ")
        for part in [line] if whole else _wrapped(line, shutil.get_terminal_size().columns):
            self._write(part)

    def pass_on(self, name: str, line: str) -> None:
        """Prints a line of a process, if it is to be shown."""
        if self._brief:
            told = brief(name, line, self.stopping)
        else:
            told = short(line) if self._fitted else readable(line)
        if told is None:
            return
        paint = self._paint(line)
        for shown in self._lines(name, told):
            self._write(f"{self._prefix(name)} {paint}{shown}{PLAIN if paint else ''}")

    def _lines(self, name: str, shown: str) -> list[str]:
        if not (self._brief or self._fitted):
            return [shown]
        room = shutil.get_terminal_size().columns - PREFIX_WIDTH - 2
        # The system's own lines are few, and each is meant for the operator: none of its words is left out.
        if self._brief and name != OWN_NAME:
            return [_fitted(shown, room)]
        # Nor of lines that somebody asked for: they are read to the end.
        return _wrapped(shown, room, breaks=self._fitted)

    def _paint(self, line: str) -> str:
        """Returns what begins the colour of a line that tells of a fault; "" for any other."""
        level = level_of(line.encode()) if self._colour else ""
        return f"\033[{OF_LEVELS[level]}m" if level in OF_LEVELS else ""

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
            self.closed = True


def _fitted(line: str, room: int) -> str:
    """Returns the line, cut in its middle if it is too long.

    What happened is at its beginning; how it ended, who did it and why it failed at its end.
    """
    if len(line) <= room:
        return line
    left = max(room - 1, 20)
    end = left * 2 // 5
    return f"{line[: left - end]}…{line[-end:]}"


def _wrapped(line: str, room: int, breaks: bool = False) -> list[str]:
    """Returns the line in parts, broken between words; only with `breaks` within URLs and paths, too."""
    return textwrap.wrap(line, max(room, 20), break_long_words=breaks, break_on_hyphens=False) or [line]


class JsonLines:
    """For another program: each line in full as JSON, those of our processes as they are in the files.

    A line of a server that has a form of its own becomes the `message` of one.
    """

    def __init__(self, out: TextIO = sys.stdout) -> None:
        self._out = out
        self.closed = False
        self._at: dict[str, str] = {}
        self._newest = "1970-01-01T00:00:00"

    def pass_on(self, name: str, line: str) -> None:
        try:
            fields = fields_of(line)
            if fields is not None:
                self._newest = str(fields.get("timestamp") or self._newest).removesuffix("Z")
            self._out.write((self._wrapped(name, line) if fields is None else line) + "\n")
            self._out.flush()
        except BrokenPipeError:
            self.closed = True

    def _wrapped(self, name: str, line: str) -> str:
        # The second line of a message of two has the time of the first. One before any other of its process
        # has that of the line before it, as lines are told in the order of their times.
        at = self._at[name] = time_in(line.encode()) or self._at.get(name) or self._newest
        self._newest = at
        second, _, fraction = at.partition(".")
        written = f"{second}.{fraction[:6]:<06}Z"
        return in_json(written, level_of(line.encode()) or "info", name, name, "server.line", line)


class Tell(Protocol):
    """Tells the operator something, in a sentence."""

    def __call__(self, line: str, level: str = "info") -> None: ...


def said(line: str, level: str) -> str:
    """Returns a sentence for the operator as a log line (docs/logs.md)."""
    now = moment(dt.datetime.now(dt.UTC))
    return in_json(now, level, OWN_NAME, "deploy.standalone", "system.told", line)


def in_json(timestamp: str, level: str, service: str, logger: str, event: str, message: str) -> str:
    """Returns a log line of these fields alone."""
    values = timestamp, level, service, logger, event, message
    return json.dumps(dict(zip(FIRST, values, strict=True)), ensure_ascii=False)


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
