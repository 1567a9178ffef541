"""The part of the search index that takes in new vectors."""

from __future__ import annotations

import numpy as np

from services.embedder.model.encoder import DIMENSIONS
from services.embedder.search.marks import MARK, Marks
from services.embedder.search.part import Part, Vectors

FIRST_ROWS = 256


class Growing:
    """Rows in memory. Whoever adds has a lock; `part` is what was added until then, and stays as it is."""

    def __init__(self) -> None:
        self._count = 0
        self._marks: Marks = np.empty(FIRST_ROWS, dtype=MARK)
        self._vectors = np.empty((FIRST_ROWS, DIMENSIONS), dtype=np.float32)
        self._alive = np.zeros(FIRST_ROWS, dtype=bool)

    @property
    def part(self) -> Part:
        end = self._count
        return Part(self._marks[:end], self._vectors[:end], self._alive[:end])

    def add(self, marks: Marks, vectors: Vectors) -> None:
        end = self._count + len(marks)
        if end > len(self._marks):
            self._grow(max(end, 2 * len(self._marks)))
        rows = slice(self._count, end)
        self._marks[rows] = marks
        # What a saved part had beyond its width is 0.
        self._vectors[rows, : vectors.shape[1]] = vectors
        self._vectors[rows, vectors.shape[1] :] = 0
        self._alive[rows] = True
        self._count = end

    def _grow(self, size: int) -> None:
        """Copies: searches under way go on with the arrays that they have."""
        end, before = self._count, (self._marks, self._vectors, self._alive)
        self._marks = np.empty(size, dtype=MARK)
        self._vectors = np.empty((size, DIMENSIONS), dtype=np.float32)
        self._alive = np.zeros(size, dtype=bool)
        for now, then in zip((self._marks, self._vectors, self._alive), before, strict=True):
            now[:end] = then[:end]
