"""Kinds of tasks, each a registered name together with a queue, and how many of them there may be.

Both are chosen by applications, so their number is bounded: of names beyond MOST_KIND_NAMES the name is
"other", and of kinds beyond MOST_KINDS the queue is. So there are at most MOST_KINDS + MOST_KIND_NAMES + 1
kinds, and every task is counted in one of them. Types of exceptions are bounded alike.
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from services.monitor.totals.tally import KIND_FAILURES, OTHER, Key

MOST_KIND_NAMES = 200
MOST_KINDS = 500
# Types of exceptions of one name, and of all kinds together; beyond, they are counted as "other".
MOST_EXCEPTIONS_OF_NAME, MOST_EXCEPTIONS = 50, 500
# An entry of the table's index holds 2,700 bytes: of a kind, of a queue's name (1,024 bytes at most), and of
# an exception.
MOST_CHARACTERS = 150
# Between name and queue in a label of the totals. A name that contains it has another character there.
SEPARATOR, REPLACEMENT = "\x1f", "\ufffd"


class Kind(NamedTuple):
    """Name and queue are empty where no event told them."""

    name: str
    queue: str

    @property
    def label(self) -> str:
        return f"{self.name}{SEPARATOR}{self.queue}"


def kind_of(label: str) -> Kind:
    name, _, queue = label.partition(SEPARATOR)
    return Kind(name, queue)


class KnownKinds:
    """The kinds, and the exceptions of each, that have a place of their own."""

    def __init__(self) -> None:
        self._names: set[str] = set()
        self._kinds: set[Kind] = set()
        self._exceptions: set[tuple[Kind, str]] = set()
        self._exceptions_of: Counter[str] = Counter()

    def place(self, kind: Kind) -> Kind:
        """Returns the kind under which one is counted."""
        name, queue = kind.name[:MOST_CHARACTERS].replace(SEPARATOR, REPLACEMENT), kind.queue
        if name not in self._names and name not in ("", OTHER):
            if len(self._names) >= MOST_KIND_NAMES:
                name = OTHER
            else:
                self._names.add(name)
        if Kind(name, queue) not in self._kinds:
            if len(self._kinds) >= MOST_KINDS:
                queue = OTHER
            else:
                self._kinds.add(Kind(name, queue))
        return Kind(name, queue)

    def exception(self, kind: Kind, exception: str) -> str:
        """Returns the type of exception under which one of the kind is counted."""
        exception = exception[:MOST_CHARACTERS]
        if (kind, exception) in self._exceptions:
            return exception
        if (
            len(self._exceptions) >= MOST_EXCEPTIONS
            or self._exceptions_of[kind.name] >= MOST_EXCEPTIONS_OF_NAME
        ):
            return OTHER
        self._exceptions.add((kind, exception))
        self._exceptions_of[kind.name] += 1
        return exception

    def bounded(self, key: Key) -> Key:
        """Returns the key of the totals under which one of a kind is counted."""
        figure, label, part = key
        kind = self.place(kind_of(label))
        if figure == KIND_FAILURES:
            part = self.exception(kind, part)
        return figure, kind.label, part

    def take(self, key: Key) -> None:
        """Takes in what is in the table already: it has its place, whatever the bounds are."""
        figure, label, part = key
        kind = kind_of(label)
        self._kinds.add(kind)
        if kind.name not in ("", OTHER):
            self._names.add(kind.name)
        if figure == KIND_FAILURES and part != OTHER and (kind, part) not in self._exceptions:
            self._exceptions.add((kind, part))
            self._exceptions_of[kind.name] += 1
