"""`make logs`: the newest lines of all processes, ordered by time, then new lines as they come."""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

from deploy.standalone.logs import Console

LAST_LINES = 100
LAST_BYTES = 64_000
POLL_SECONDS = 0.2
TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[.\d]*")


def names(folder: Path) -> list[str]:
    """Returns the names of the processes that have a log."""
    return sorted(path.stem for path in folder.glob("*.log"))


def show(folder: Path, wanted: list[str], console: Console, goes_on: Callable[[], bool]) -> None:
    """Prints the last lines of the wanted logs, then new ones for as long as `goes_on()`."""
    with contextlib.ExitStack() as opened:
        tails = [(name, opened.enter_context(Tail(folder / f"{name}.log"))) for name in wanted]
        last = [line for name, tail in tails for line in _timed(name, tail.last_lines())]
        for _, name, line in sorted(last, key=lambda timed: timed[0]):
            console.pass_on(name, line)
        while goes_on():
            for name, tail in tails:
                for line in tail.new_lines():
                    console.pass_on(name, line)
            time.sleep(POLL_SECONDS)


def _timed(name: str, lines: list[str]) -> Iterator[tuple[str, str, str]]:
    """Yields (time, name, line); a line without a time gets that of the line before it."""
    at = ""
    for line in lines:
        found = TIME.search(line)
        at = found.group().replace(" ", "T") if found else at
        yield at, name, line


class Tail:
    """Reads the end of a log file, which grows, and is replaced by a new one when it is too long."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("rb")
        self._rest = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def last_lines(self) -> list[str]:
        size = self._path.stat().st_size
        self._file.seek(max(0, size - LAST_BYTES))
        lines = self.new_lines()
        return lines[-LAST_LINES:] if size <= LAST_BYTES else lines[1:][-LAST_LINES:]

    def new_lines(self) -> list[str]:
        lines = self._read()
        if self._replaced():
            self._file.close()
            self._file = self._path.open("rb")
            lines += self._read()
        return lines

    def _read(self) -> list[str]:
        *lines, self._rest = (self._rest + self._file.read()).split(b"\n")
        return [line.decode("utf-8", "replace") for line in lines]

    def _replaced(self) -> bool:
        try:
            return self._path.stat().st_ino != os.fstat(self._file.fileno()).st_ino
        except FileNotFoundError:
            return False
