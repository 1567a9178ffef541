"""What failed, and where: failures counted by the class of the exception and the line that raised it.

The line is the last of the traceback that is the application's own: where a library raises, it is the call of
the library that a developer looks for.
"""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from services.monitor.tasks.exceptions import last_traceback

# A frame as Python writes it, with the path, the number of the line and the function.
_FRAME = re.compile(r'^ {2}File "(.+)", line (\d+), in (.+)$', re.MULTILINE)
# Code that is installed, or Python's own.
_INSTALLED = re.compile(r"[/\\](?:site|dist)-packages[/\\]|[/\\][Ll]ib[/\\]python3[^/\\]*[/\\]|^<frozen ")
_SEPARATOR = re.compile(r"[/\\]")
SHOWN_PARTS = 3
MOST_PLACE = 300
MOST_MESSAGE = 200
MOST_NAMES = 10

# The class of the exception, and the place.
Kind: TypeAlias = tuple[str, str]


@dataclass(frozen=True)
class AlikeFailures:
    """Failures of one task with the same frames, as the database counts them, and the newest of them."""

    task: str
    exception_type: str
    count: int
    first_at: dt.datetime
    last_at: dt.datetime
    newest_id: str
    message: str
    traceback: str


@dataclass
class FailureGroup:
    """Failures of one kind. `tasks` counts them by the name of the task."""

    exception_type: str
    place: str
    first_at: dt.datetime
    last_at: dt.datetime
    newest_id: str
    message: str
    tasks: Counter[str] = field(default_factory=Counter)

    @property
    def count(self) -> int:
        return self.tasks.total()

    @property
    def task_names(self) -> list[str]:
        """The most frequent first."""
        return [name for name, _ in self.tasks.most_common(MOST_NAMES) if name]


def grouped(failures: Iterable[AlikeFailures]) -> Sequence[FailureGroup]:
    """Returns the groups, the largest first; of two of one size, the one that failed last."""
    groups: dict[Kind, FailureGroup] = {}
    for each in failures:
        kind = each.exception_type, place_in(each.traceback)
        found = groups.get(kind)
        if found is None:
            moments = each.first_at, each.last_at
            found = groups[kind] = FailureGroup(*kind, *moments, each.newest_id, each.message)
        found.tasks[each.task] += each.count
        found.first_at = min(found.first_at, each.first_at)
        if each.last_at > found.last_at:
            found.last_at, found.newest_id, found.message = each.last_at, each.newest_id, each.message
    return sorted(groups.values(), key=lambda group: (group.count, group.last_at), reverse=True)


def place_in(traceback: str) -> str:
    """Returns where the exception was raised, as in "shop/orders.py:41 in charge"; empty without a frame."""
    frames = _FRAME.findall(last_traceback(traceback))
    if not frames:
        return ""
    own = [frame for frame in frames if not _INSTALLED.search(frame[0])]
    path, line, function = (own or frames)[-1]
    shown = "/".join(_SEPARATOR.split(path)[-SHOWN_PARTS:])
    return f"{shown}:{line} in {function}"[:MOST_PLACE]
