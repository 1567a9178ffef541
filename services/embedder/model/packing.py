"""Tokens into batches that are little padding: the one packer of the bulk path and of online calls.

A batch is a rectangle: its longest text times its count. Sorted by length and cut by that area, neighbours
are alike, so that next to nothing of the area is padding; and the area bounds memory, whatever comes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Tokens:
    """A text as its model reads it: token numbers int64 [n], and whether the text was longer."""

    ids: NDArray[np.int64]
    truncated: bool = False

    def __len__(self) -> int:
        return len(self.ids)


# Unit vectors of a batch, a row each: float32 [n, 1024].
Run = Callable[[Sequence[Tokens]], NDArray[np.float32]]


def batches(lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
    """The positions of `lengths` in batches, longest first.

    Count times longest is at most `budget` tokens in each; a text longer than that stands alone. Longest
    first, so that memory for the largest batch is there from the start, and the ends are small.
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
    """One row a text, in their order: float32 [n, 1024]. Identical texts are embedded once."""
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
