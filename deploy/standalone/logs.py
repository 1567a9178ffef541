"""Output of the processes: on the terminal with a prefix, and in full in a bounded file for each process."""

from __future__ import annotations

import errno
import logging
import logging.handlers
import shutil
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from deploy.standalone.brief import brief, readable, short

FILE_BYTES = 10_000_000
OLD_FILES = 2
PREFIX_WIDTH = 19
# The name that the system's own lines are under.
OWN_NAME = "celeriac"
COLOURS = (36, 32, 33, 35, 34, 96, 92, 93, 95, 94)


class Console:
    """The terminal: whole lines only, each with the name of its process in front.

    `brief`: only calls and faults are shown, each in one line of the terminal. `fitted`: all is, so. By
    default all is, in full. `stopping` is set when the system stops.
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
        for shown in self._lines(name, told):
            self._write(f"{self._prefix(name)} {shown}")

    def _lines(self, name: str, shown: str) -> list[str]:
        if not (self._brief or self._fitted):
            return [shown]
        room = shutil.get_terminal_size().columns - PREFIX_WIDTH - 2
        # The system's own lines are few, and each is meant for the operator: none of its words is left out.
        return _wrapped(shown, room) if name == OWN_NAME else [_fitted(shown, room)]

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


def _fitted(line: str, room: int) -> str:
    """Returns the line, cut in its middle if it is too long.

    What happened is at its beginning; how it ended, who did it and why it failed at its end.
    """
    if len(line) <= room:
        return line
    half = max(room - 1, 20) // 2
    return f"{line[:half]}…{line[-half:]}"


def _wrapped(line: str, room: int) -> list[str]:
    """Returns the line in parts, broken between words only: URLs and paths stay whole."""
    return textwrap.wrap(line, max(room, 20), break_long_words=False, break_on_hyphens=False) or [line]


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
