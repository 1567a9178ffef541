"""The search index: the vectors of the current model in memory, compared exactly (inner product) by FAISS."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import faiss
import numpy as np
from numpy.typing import NDArray

from services.embedder.messages.messages import MessageFilter, Role

DIMENSIONS = 1024


@dataclass(frozen=True)
class Entry:
    """The fields of a vector's message that a search filters by."""

    message_id: str
    role: str
    conversation: str
    created_at: dt.datetime


class VectorIndex:
    """Vectors by the number of their write. The methods block, and may be called from any thread."""

    def __init__(self) -> None:
        self._index = faiss.IndexIDMap2(faiss.IndexFlatIP(DIMENSIONS))
        self._entries: dict[int, Entry] = {}
        self._lock = threading.Lock()

    def writes(self) -> set[int]:
        with self._lock:
            return set(self._entries)

    def add(self, entries: Mapping[int, Entry], vectors: NDArray[np.float32]) -> None:
        """Adds a row of `vectors` for each entry, in the mapping's order. Skips entries that are present."""
        numbers = list(entries)
        with self._lock:
            rows = [row for row, number in enumerate(numbers) if number not in self._entries]
            if rows:
                fresh = np.array([numbers[row] for row in rows], dtype=np.int64)
                self._index.add_with_ids(np.ascontiguousarray(vectors[rows], dtype=np.float32), fresh)
                self._entries |= {numbers[row]: entries[numbers[row]] for row in rows}

    def remove(self, writes: Sequence[int]) -> None:
        with self._lock:
            held = [number for number in writes if self._entries.pop(number, None) is not None]
            if held:
                self._index.remove_ids(faiss.IDSelectorBatch(np.array(held, dtype=np.int64)))

    def nearest(
        self, query: NDArray[np.float32], k: int, wanted: MessageFilter
    ) -> list[tuple[int, str, float]]:
        """Returns at most k of (write, message id, cosine), best first, of the entries that pass the filter.

        Only these entries are compared, so that a narrow filter still gives k results.
        """
        with self._lock:
            parameters = faiss.SearchParameters()
            if wanted != MessageFilter():
                chosen = [number for number, entry in self._entries.items() if _passes(entry, wanted)]
                parameters.sel = faiss.IDSelectorBatch(np.array(chosen, dtype=np.int64))
            scores, numbers = self._index.search(query.reshape(1, DIMENSIONS), k, params=parameters)
            return [
                # The rounding of 1,024 products can give a little more than a cosine may be.
                (int(number), self._entries[int(number)].message_id, min(1.0, max(-1.0, float(score))))
                for number, score in zip(numbers[0], scores[0], strict=True)
                if number >= 0
            ]


def _passes(entry: Entry, wanted: MessageFilter) -> bool:
    return (
        (not wanted.roles or Role(entry.role) in wanted.roles)
        and (not wanted.conversation or entry.conversation == wanted.conversation)
        and (wanted.start is None or entry.created_at >= wanted.start)
        and (wanted.end is None or entry.created_at < wanted.end)
    )
