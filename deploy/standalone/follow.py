"""`make logs`: lines of all processes in the order of their times, then new ones as they come."""

from __future__ import annotations

import contextlib
import datetime as dt
import heapq
import os
import time
from collections.abc import Callable, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Protocol, Self

from deploy.standalone.log_files import History, Line
from deploy.standalone.log_filter import Wanted
from deploy.standalone.log_times import time_in

# Without SINCE, of each process.
LAST_LINES = 100
POLL_SECONDS = 0.2


class Out(Protocol):
    """Where lines go. `closed`: nobody reads them any more."""

    closed: bool

    def pass_on(self, name: str, line: str) -> None: ...


def show(folder: Path, names: Sequence[str], wanted: Wanted, out: Out, goes_on: Callable[[], bool]) -> None:
    """Passes on what the processes have written, then new lines for as long as `goes_on()`.

    All from `wanted.since` on, or the last lines of each. It ends when `wanted.until` is over.
    """
    with contextlib.ExitStack() as opened:
        histories = [opened.enter_context(History(folder, name)) for name in names]
        tails = [
            opened.enter_context(Tail(folder, name, history))
            for name, history in zip(names, histories, strict=True)
        ]
        if wanted.since:
            streams = [history.since(wanted) for history in histories]
        else:
            streams = [iter(history.newest(wanted, LAST_LINES)) for history in histories]
        for line in heapq.merge(*streams, key=attrgetter("at")):
            _pass_on(line, out)
            if out.closed:
                return
        while not out.closed and _is_to_come(wanted) and goes_on():
            new = [line for tail in tails for line in tail.new_lines(wanted)]
            for line in sorted(new, key=attrgetter("at")):
                _pass_on(line, out)
            time.sleep(POLL_SECONDS)


def _pass_on(line: Line, out: Out) -> None:
    out.pass_on(line.name, line.text.decode("utf-8", "replace"))


def _is_to_come(wanted: Wanted) -> bool:
    return not wanted.until or f"{dt.datetime.now(dt.UTC):%Y-%m-%dT%H:%M:%S.%f}" <= wanted.until


class Tail:
    """Reads what is added to a log file, which is replaced by a new one when it is too long."""

    def __init__(self, folder: Path, name: str, history: History) -> None:
        self._path, self._name = folder / f"{name}.log", name
        self._file = self._path.open("rb")
        if os.fstat(self._file.fileno()).st_ino == history.newest_file:
            self._file.seek(history.end)
        self._rest = b""
        self._at, self._taken = "", False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def new_lines(self, wanted: Wanted) -> list[Line]:
        """Returns those of the new lines that are asked for."""
        found = []
        for text in self._read_all():
            self._at = max(self._at, time_in(text))
            takes = wanted.takes(text)
            self._taken = self._taken if takes is None else takes
            if self._taken and not (wanted.until and self._at > wanted.until):
                found.append(Line(self._at, self._name, text))
        return found

    def _read_all(self) -> list[bytes]:
        lines = self._read()
        if self._replaced():
            self._file.close()
            self._file = self._path.open("rb")
            lines += self._read()
        return lines

    def _read(self) -> list[bytes]:
        *lines, self._rest = (self._rest + self._file.read()).split(b"\n")
        return lines

    def _replaced(self) -> bool:
        try:
            return self._path.stat().st_ino != os.fstat(self._file.fileno()).st_ino
        except FileNotFoundError:
            return False
