"""Where in the log of changes a reader is, so that nothing is left out and nothing delays.

Transactions don't commit in the order of their numbers, nor of anything else that they could write down. So a
reader's place is not a number but a snapshot of PostgreSQL: which transactions were visible. What it has not
seen are exactly the changes of all the others: of those that were still under way then, and of those that
began since. Waiting until no older transaction is under way would do too, but one long transaction, of
anybody in the cluster, would then hold up every reader.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from services.kernel.errors import FieldFault, Invalid
from services.kernel.pages import decode_page_token, encode_page_token

SNAPSHOT = re.compile(r"(\d{1,19}):(\d{1,19}):((?:\d{1,19}(?:,\d{1,19})*)?)")
MOST_NUMBER = 2**63 - 1


@dataclass(frozen=True)
class Snapshot:
    """Which transactions are visible: those below `xmax` that are not in `under_way` (which rises)."""

    xmax: int
    under_way: tuple[int, ...] = ()

    @classmethod
    def parse(cls, text: object) -> Snapshot:
        """As PostgreSQL writes it: xmin, xmax, those under way ("10:20:10,14"). ValueError if it is none."""
        found = SNAPSHOT.fullmatch(text) if isinstance(text, str) else None
        if not found:
            raise ValueError(f"{str(text)[:100]!r} is no snapshot")
        xmin, xmax = int(found[1]), int(found[2])
        under_way = tuple(map(int, filter(None, found[3].split(","))))
        rising = [xmin - 1, *under_way, xmax]
        if not 0 < xmin <= xmax <= MOST_NUMBER or sorted(set(rising)) != rising:
            raise ValueError(f"{str(text)[:100]!r} is no snapshot")
        return cls(xmax, under_way)

    def __str__(self) -> str:
        xmin = self.under_way[0] if self.under_way else self.xmax
        return f"{xmin}:{self.xmax}:{','.join(map(str, self.under_way))}"

    def sees(self, txid: int) -> bool:
        return txid < self.xmax and txid not in self.under_way


class Place(NamedTuple):
    """In the log's order: a change, and how many of the schedules that it names were told."""

    txid: int
    position: int
    told: int = 0


@dataclass(frozen=True)
class Cursor:
    """All changes visible in `seen` were told; and of those visible in `until`, those before `place`.

    `origin`: the database and its timeline. After a restore, or a failover, numbers mean other transactions.
    """

    origin: str
    seen: Snapshot
    until: Snapshot | None = None
    place: Place | None = None

    def at(self, place: Place | None) -> Cursor:
        """Further on between `seen` and `until`; None: at the end of it."""
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
    """How the log stands in a snapshot. `trimmed`: no transaction beyond this one has lost changes."""

    origin: str
    now: Snapshot
    trimmed: int

    @property
    def cursor(self) -> Cursor:
        return Cursor(self.origin, self.now)

    def has_all_after(self, cursor: Cursor) -> bool:
        """Whether each change that the cursor has not seen is still there."""
        first, seen = cursor.seen.xmax, cursor.seen
        if cursor.until is not None and cursor.place is not None:
            # What is left up to there, and then all that is not visible there.
            first, seen = cursor.place.txid, cursor.until
        if cursor.origin != self.origin or seen.xmax > self.now.xmax:
            return False
        # One that is still under way has no changes that could have been trimmed.
        ended = (txid for txid in seen.under_way if self.now.sees(txid))
        return self.trimmed < first and not any(txid <= self.trimmed for txid in ended)


def decode_cursor(text: str) -> Cursor | None:
    """None for no text; raises `Invalid` for what no message had."""
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
