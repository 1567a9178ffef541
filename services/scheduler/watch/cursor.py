"""A reader's position in the log of changes, such that it misses no change and waits for no transaction.

It is a snapshot, or a place between two (services.kernel.snapshots).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from services.kernel.errors import FieldFault, Invalid
from services.kernel.pages import decode_page_token, encode_page_token
from services.kernel.snapshots import MOST_NUMBER, Snapshot


class Place(NamedTuple):
    """A position in the log: an entry, and how many of the schedules that it names were already sent."""

    txid: int
    position: int
    told: int = 0


@dataclass(frozen=True)
class Cursor:
    """All changes visible in `seen` were sent, and of those visible in `until` the ones before `place`.

    `origin`: the database and its timeline. After a restore or a failover, the same transaction numbers
    belong to other transactions.
    """

    origin: str
    seen: Snapshot
    until: Snapshot | None = None
    place: Place | None = None

    def at(self, place: Place | None) -> Cursor:
        """Returns the cursor moved to a place between `seen` and `until`; None moves it to `until`."""
        if place is None:
            assert self.until is not None
            return Cursor(self.origin, self.until)
        return dataclasses.replace(self, place=place)

    def encode(self) -> str:
        position: dict[str, Any] = {"origin": self.origin, "seen": str(self.seen)}
        if self.until is not None and self.place is not None:
            position |= {"until": str(self.until), "place": list(self.place)}
        return encode_page_token(position)


@dataclass(frozen=True)
class Head:
    """The state of the log in the snapshot `now`.

    Old entries are deleted; no transaction with a number above `trimmed` has lost any.
    """

    origin: str
    now: Snapshot
    trimmed: int

    @property
    def cursor(self) -> Cursor:
        return Cursor(self.origin, self.now)

    def has_all_after(self, cursor: Cursor) -> bool:
        """Whether the log still has every change that the cursor has not seen."""
        first, seen = cursor.seen.xmax, cursor.seen
        if cursor.until is not None and cursor.place is not None:
            # Still to be read: the rest up to `until`, then everything that is not visible in `until`.
            first, seen = cursor.place.txid, cursor.until
        if cursor.origin != self.origin or seen.xmax > self.now.xmax:
            return False
        # A transaction that is still in progress has no visible changes that could have been deleted.
        ended = (txid for txid in seen.under_way if self.now.sees(txid))
        return self.trimmed < first and not any(txid <= self.trimmed for txid in ended)


def decode_cursor(text: str) -> Cursor | None:
    """Returns None for an empty text. Raises `Invalid` for a text that no message could have contained."""
    if not text:
        return None
    try:
        return _cursor_in(decode_page_token(text))
    except (Invalid, ValueError) as error:
        fault = FieldFault(
            "cursor", "is not one that a message had", "the cursor of the last message, or empty"
        )
        raise Invalid([fault]) from error


def _cursor_in(position: Mapping[str, Any]) -> Cursor:
    origin = position.get("origin")
    if not isinstance(origin, str):
        raise ValueError("the origin is no text")
    seen = Snapshot.parse(position.get("seen"))
    if position.get("until") is None:
        return Cursor(origin, seen)
    return Cursor(origin, seen, Snapshot.parse(position["until"]), _place_in(position.get("place")))


def _place_in(numbers: object) -> Place:
    if not isinstance(numbers, list) or len(numbers) != len(Place._fields):
        raise ValueError(f"{numbers!r} is no place")
    for number in numbers:
        # True is an int to Python, and no number to JSON.
        if type(number) is not int or not 0 <= number <= MOST_NUMBER:
            raise ValueError(f"{number!r} is no place")
    return Place(*numbers)
