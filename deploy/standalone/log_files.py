"""The log of one process: its file and the older ones before it, read from a time on, or from the end back.

Nothing here keeps a whole file in memory: a time is found by halving, and lines go through in blocks. Lines
may be out of order by SLACK_SECONDS (those of several processes of a pool, or of a buffer), so reading begins
that much before the time, and each line is then looked at.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple, Self

from deploy.standalone.log_filter import Wanted
from deploy.standalone.log_times import time_in

BLOCK = 1 << 20
# From the end back smaller blocks will do: the newest lines are all that is wanted.
BLOCK_AT_THE_END = 1 << 16
SLACK_SECONDS = 5
FORM = "%Y-%m-%dT%H:%M:%S"


class Line(NamedTuple):
    """A line, with the time by which it is put in order: its own, or that of the line before."""

    at: str
    name: str
    text: bytes


class History:
    """What a process has written so far, up to the last whole line. `end`: where new lines begin."""

    def __init__(self, folder: Path, name: str) -> None:
        self._name = name
        self._files = _opened(folder, name)
        self._ends = [_end_of(file) for file in self._files]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._files:
            file.close()

    @property
    def end(self) -> int:
        return self._ends[-1]

    @property
    def newest_file(self) -> int:
        """The inode of the file that `end` is a place in."""
        return os.fstat(self._files[-1].fileno()).st_ino

    def since(self, wanted: Wanted) -> Iterator[Line]:
        """Yields the lines that are asked for, from `wanted.since` on. The times never go back."""
        at = ""
        for file, end in zip(self._files, self._ends, strict=True):
            start = place_of(file, end, _moved(wanted.since, -SLACK_SECONDS))
            for line in self._taken(file, start, end, wanted):
                at = max(at, line.at)
                yield line._replace(at=at)

    def newest(self, wanted: Wanted, most: int) -> list[Line]:
        """Returns the last lines that are asked for, oldest first."""
        found: list[Line] = []
        for file, end in zip(reversed(self._files), reversed(self._ends), strict=True):
            upto, block = end, BLOCK_AT_THE_END
            if wanted.until:
                upto = place_of(file, end, _moved(wanted.until, SLACK_SECONDS), after=True)
            while upto > 0 and len(found) < most:
                start = _line_start(file, upto, block)
                found = [*self._taken(file, start, upto, wanted), *found][-most:]
                upto, block = start, min(block * 4, BLOCK)
            if len(found) >= most:
                break
        return found

    def _taken(self, file: BinaryIO, start: int, end: int, wanted: Wanted) -> Iterator[Line]:
        late = wanted.until and _moved(wanted.until, SLACK_SECONDS)
        at, taken = "", False
        for text in _lines(file, start, end, wanted.needle):
            own = time_in(text)
            at = own or at
            if late and own > late:
                return
            takes = wanted.takes(text)
            taken = taken if takes is None else takes
            if taken and wanted.since <= at and not (wanted.until and at > wanted.until):
                yield Line(at, self._name, text)


def names(folder: Path) -> list[str]:
    """Returns the names of the processes that have a log."""
    return sorted(path.stem for path in folder.glob("*.log"))


def place_of(file: BinaryIO, end: int, at: str, *, after: bool = False) -> int:
    """Returns a place at the start of a line: what is before it was written before the time.

    With `after`, what is behind the place was written after the time. Looks at some thirty lines, also in a
    file of gigabytes.
    """
    low, high = 0, end
    while high - low > BLOCK_AT_THE_END:
        middle = (low + high) // 2
        time, start = _first_time(file, middle, high)
        if not time or time >= at:
            high = middle
        else:
            low = start
    return _next_line(file, high, end) if after else low


def _first_time(file: BinaryIO, place: int, end: int) -> tuple[str, int]:
    """Returns the time of the first line with one that begins after the place, and where it begins."""
    start = _next_line(file, place, end)
    while start < end:
        line = file.readline()
        if time := time_in(line):
            return time, start
        start += len(line)
    return "", end


def _next_line(file: BinaryIO, place: int, end: int) -> int:
    file.seek(place)
    return min(place + len(file.readline()), end)


def _line_start(file: BinaryIO, end: int, size: int) -> int:
    """Returns the start of a line with a time, some `size` bytes before the end, or more if it must be."""
    while size < end:
        start = _next_line(file, end - size, end)
        if start < end and time_in(file.readline()):
            return start
        size *= 2
    return 0


def _lines(file: BinaryIO, start: int, end: int, needle: bytes) -> Iterator[bytes]:
    """Yields the lines of a part of the file; blocks without the needle are passed over."""
    rest, place = b"", start
    while place < end:
        file.seek(place)
        block = file.read(min(BLOCK, end - place))
        if not block:
            return
        place += len(block)
        whole, newline, last = block.rpartition(b"\n")
        if not newline:
            rest += last
            continue
        if needle in rest or needle in whole:
            yield from (rest + whole).split(b"\n")
        elif rest and needle in rest + whole[: len(needle)]:
            yield (rest + whole).partition(b"\n")[0]
        rest = last


def _opened(folder: Path, name: str) -> list[BinaryIO]:
    """Returns the files, the oldest first. A file that becomes an older one meanwhile is there once."""
    found: dict[int, BinaryIO] = {}
    for path in (folder / f"{name}.log", folder / f"{name}.log.1", folder / f"{name}.log.2"):
        with contextlib.suppress(FileNotFoundError):
            file = path.open("rb")
            if (inode := os.fstat(file.fileno()).st_ino) in found:
                file.close()
            else:
                found[inode] = file
    return list(found.values())[::-1]


def _end_of(file: BinaryIO) -> int:
    """Returns the place after the last whole line."""
    size = file.seek(0, os.SEEK_END)
    place = size
    while place > 0:
        start = max(0, place - BLOCK_AT_THE_END)
        file.seek(start)
        last = file.read(place - start).rfind(b"\n")
        if last >= 0:
            return start + last + 1
        place = start
    return 0


def _moved(at: str, seconds: float) -> str:
    moment = dt.datetime.strptime(at[:19], FORM).replace(tzinfo=dt.UTC)
    with contextlib.suppress(OverflowError):
        moment += dt.timedelta(seconds=seconds)
    return f"{moment:{FORM}}{at[19:]}"
