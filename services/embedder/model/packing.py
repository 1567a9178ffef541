"""Packs texts into batches with little padding, for the bulk path and for online calls.

A batch is a rectangle: the length of its longest text times the number of its texts. The texts are sorted by
length and cut by this area, so that the texts of a batch have similar lengths and little of the area is
padding. The area also bounds the memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Tokens:
    """A text as its model reads it: token ids int64 [n], and whether the text was cut."""

    ids: NDArray[np.int64]
    truncated: bool = False

    def __len__(self) -> int:
        return len(self.ids)


# Returns the unit vectors of a batch, one row for each text: float32 [n, 1024].
Run = Callable[[Sequence[Tokens]], NDArray[np.float32]]


def batches(lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Yields batches of positions in `lengths`, the longest texts first.

    In each batch, the number of texts times the longest length is at most `budget` tokens; a longer text is
    alone in its batch. With the longest first, memory for the largest batch is allocated at the start, and
    the last batches are small.
    """
    batch: list[int] = []
    for position in sorted(range(len(lengths)), key=lambda position: -lengths[position]):
        if batch and lengths[batch[0]] * (len(batch) + 1) > budget:
            yield batch
            batch = []
        batch.append(position)
    if batch:
        yield batch


def embed_tokens(run: Run, tokens: Sequence[Tokens], budget: int) -> NDArray[np.float32]:
    """Returns one row for each text, in their order: float32 [n, 1024]. Identical texts are embedded once."""
    row_of: dict[bytes, int] = {}
    distinct: list[Tokens] = []
    rows = []
    for text in tokens:
        key = text.ids.tobytes()
        if key not in row_of:
            row_of[key] = len(distinct)
            distinct.append(text)
        rows.append(row_of[key])
    vectors = np.empty((len(distinct), 1024), dtype=np.float32)
    for batch in batches([len(text) for text in distinct], budget):
        vectors[batch] = run([distinct[position] for position in batch])
    return vectors[rows]
