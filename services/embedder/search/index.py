"""The search index: the vectors of the current model, as a part with lists and what came since.

1. What is added goes into a growing part, which is compared whole.
2. `build` makes one part with lists of all, beside the searches, and swaps it in. It is due from EXACT
   vectors on, when the growing part has become a tenth of it, or when removed vectors are to be forgotten.
3. A search takes the parts as they are at that moment, asks each, and merges. It needs no lock.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from services.embedder.messages.messages import MessageFilter
from services.embedder.search.growing import Growing
from services.embedder.search.marks import Marks
from services.embedder.search.part import EXACT, Part, Vectors, best_of
from services.embedder.search.saved import IndexFolder

# The growing part is built in when it has so many rows, and this share of the other's.
LEAST_GROWN, GROWN = 2_000, 0.1

Hit = tuple[int, float]


class VectorIndex:
    """Vectors by the number of their write. The methods block, and may be called from any thread."""

    def __init__(self, folder: IndexFolder) -> None:
        self._folder = folder
        # For those who change the parts; never held for long.
        self._lock = threading.Lock()
        self._building = threading.Lock()
        self._growing = Growing()
        loaded = folder.load()
        self._saved: tuple[Part, ...] = () if loaded is None else (loaded,)
        self._parts: tuple[Part, ...] = self._saved

    def writes(self) -> NDArray[np.int64]:
        """Returns the number and the transaction of each write that is held: int64 [n, 2]."""
        held = [part.marks[part.alive] for part in self._parts]
        return np.concatenate(
            [np.stack([marks["write"], marks["txid"]], axis=1) for marks in held]
            or [np.empty((0, 2), dtype=np.int64)]
        )

    def missing(self, writes: NDArray[np.int64]) -> NDArray[np.int64]:
        """Returns those of the numbers of writes that are not held."""
        return writes[~np.isin(writes, self.writes()[:, 0])]

    def add(self, marks: Marks, vectors: Vectors) -> None:
        """Adds a row of `vectors`, float32 [n, 1024], for each mark. Skips writes that are held."""
        with self._lock:
            fresh = ~np.isin(marks["write"], self.writes()[:, 0])
            if fresh.any():
                self._growing.add(marks[fresh], vectors[fresh])
                self._parts = (*self._saved, self._growing.part)

    def remove(self, writes: Sequence[int] | NDArray[np.int64]) -> None:
        with self._lock:
            for part in self._parts:
                part.alive[np.isin(part.marks["write"], np.asarray(writes, dtype=np.int64))] = False

    def nearest(self, query: NDArray[np.float32], k: int, wanted: MessageFilter) -> list[Hit]:
        """Returns at most k of (write, cosine), best first, of the entries that pass the filter.

        `query`: a unit vector, float32 [1024]. Up to EXACT vectors, and always where the filter leaves no
        more than that, they are exactly the nearest.
        """
        found = [part.nearest(query, k, wanted) for part in self._parts]
        if not found:
            return []
        writes = np.concatenate([numbers for numbers, _ in found])
        # The rounding of 1,024 products can give a little more than a cosine may be.
        scores = np.clip(np.concatenate([scores for _, scores in found]), -1.0, 1.0)
        best = best_of(scores, k)
        return [(int(writes[row]), float(scores[row])) for row in best]

    @property
    def wants_building(self) -> bool:
        parts = self._parts
        if sum(int(np.count_nonzero(part.alive)) for part in parts) < EXACT:
            # Below that, what was saved before is only to be forgotten.
            return False
        grown, saved = self._sizes(parts)
        return grown >= LEAST_GROWN and grown >= GROWN * saved

    @property
    def overfull(self) -> bool:
        """Whether the growing part takes so much memory that nothing is to be added before it is built in."""
        grown, saved = self._sizes(self._parts)
        return grown >= 2 * EXACT and grown >= saved

    @property
    def removed(self) -> int:
        """The number of removed vectors that are still kept, though not found."""
        return sum(int(np.count_nonzero(~part.alive)) for part in self._parts)

    def _sizes(self, parts: tuple[Part, ...]) -> tuple[int, int]:
        """Returns how many rows the growing part has, and how many the saved one."""
        grown = len(parts[-1].marks) if len(parts) > len(self._saved) else 0
        return grown, sum(len(part.marks) for part in self._saved)

    def build(self) -> None:
        """Makes one part of all that is held, saved if it has lists; those removed are forgotten."""
        with self._building:
            with self._lock:
                parts = self._parts
                kept = [np.flatnonzero(part.alive) for part in parts]
            lists = sum(map(len, kept)) >= EXACT
            made = self._folder.made(parts, kept) if lists else None
            with self._lock:
                self._swap(parts, kept, made)
        if not lists:
            self._folder.clear()

    def _swap(self, parts: tuple[Part, ...], kept: list[NDArray[np.int64]], made: Part | None) -> None:
        """Replaces the parts by what was made of them, and by what has come since."""
        growing, now = Growing(), self._parts
        for number, part in enumerate(now):
            since = np.ones(len(part.marks), dtype=bool)
            if made is not None and number < len(parts):
                since[: len(parts[number].marks)] = False
            rows = np.flatnonzero(part.alive & since)
            growing.add(part.marks[rows], part.vectors[rows])
        if made is not None:
            held = [part.alive[rows] for part, rows in zip(now, kept, strict=False)]
            made.alive[:] = np.concatenate(held)
        self._growing = growing
        self._saved = () if made is None else (made,)
        self._parts = (*self._saved, growing.part)
