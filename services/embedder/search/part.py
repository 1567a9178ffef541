"""A part of the search index: rows of vectors, compared one by one, or found by inverted lists first.

Lists: FAISS IndexIVFScalarQuantizer. The vectors are divided by the nearest of some centres (IVF), and held
once more with 8 bits a number (SQ8). A search looks through the lists of the nearest centres, and compares
the best of what it finds with the full vectors.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import faiss
import numpy as np
from numpy.typing import NDArray

from services.embedder.messages.messages import MessageFilter
from services.embedder.search.marks import Chosen, Marks, passing

# Up to so many vectors are all compared: it takes a few milliseconds, and finds exactly the nearest.
EXACT = 10_000
# How many rows the lists give for the comparison with the full vectors, at least, and for each result.
CANDIDATES, CANDIDATES_EACH = 100, 2
# Lists for n vectors: the square root of n. Of them a search looks through so many times the square root.
# Measured by benchmarks/embedder/search.py.
PROBED = 4.0

Vectors = NDArray[np.float32]
Hits = tuple[NDArray[np.int64], NDArray[np.float32]]
NONE: Hits = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32)


@dataclass(frozen=True)
class Part:
    """`vectors`: float32 [n, width]; what they have beyond the width is 0. `marks`, `alive`: [n].

    Searches need no lock: nothing but `alive` changes, and a row that dies meanwhile may still be found.
    """

    marks: Marks
    vectors: Vectors
    alive: Chosen
    # Numbers its vectors by row.
    lists: faiss.IndexIVF | None = None

    def nearest(self, query: Vectors, k: int, wanted: MessageFilter) -> Hits:
        """Returns at most k numbers of writes and their cosines, best first. `query`: float32 [1024]."""
        passed = passing(self.marks, wanted)
        chosen = self.alive if passed is None else self.alive & passed
        count = int(np.count_nonzero(chosen))
        if not count:
            return NONE
        query = np.ascontiguousarray(query[: self.vectors.shape[1]], dtype=np.float32)
        if self.lists is None or count <= EXACT:
            rows, scores = self._compared(query, chosen, count)
        else:
            rows = self._candidates(self.lists, query, k, chosen, count)
            scores = self.vectors[rows] @ query
        best = best_of(scores, k)
        return self.marks["write"][rows[best]], scores[best]

    def _compared(
        self, query: Vectors, chosen: Chosen, count: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        rows = np.flatnonzero(chosen)
        # To copy the rows costs more than to compare some in vain.
        if 2 * count >= len(chosen):
            return rows, (self.vectors @ query)[rows]
        return rows, self.vectors[rows] @ query

    def _candidates(
        self, lists: faiss.IndexIVF, query: Vectors, k: int, chosen: Chosen, count: int
    ) -> NDArray[np.int64]:
        most = min(count, max(CANDIDATES, CANDIDATES_EACH * k))
        # What a filter leaves out is made up for by more lists: as many vectors are compared as without it.
        probed = math.ceil(PROBED * math.sqrt(lists.nlist) * len(chosen) / count)
        parameters = faiss.SearchParametersIVF()
        parameters.nprobe = min(lists.nlist, probed)
        if count < len(chosen):
            # FAISS keeps no reference: both must live as long as the search.
            bits = np.packbits(chosen, bitorder="little")
            selector = faiss.IDSelectorBitmap(len(chosen), faiss.swig_ptr(bits))
            parameters.sel = selector
        rows = lists.search(query[None], most, params=parameters)[1][0]
        if rows[-1] < 0 and parameters.nprobe < lists.nlist:
            parameters.nprobe = lists.nlist
            rows = lists.search(query[None], most, params=parameters)[1][0]
        found: NDArray[np.int64] = rows[rows >= 0]
        return found


def best_of(scores: NDArray[np.float32], k: int) -> NDArray[np.int64]:
    """Returns the positions of the k highest scores, best first."""
    if k < len(scores):
        best = np.argpartition(scores, -k)[-k:]
        return best[np.argsort(-scores[best], kind="stable")]
    return np.argsort(-scores, kind="stable")


def with_lists(marks: Marks, vectors: Vectors) -> faiss.IndexIVF:
    """Returns trained lists that have the vectors. Blocks for seconds, with one thread."""
    # Of the calling thread alone: searches go on beside it.
    faiss.omp_set_num_threads(1)
    count, width = vectors.shape
    number = max(1, round(math.sqrt(count)))
    lists = faiss.IndexIVFScalarQuantizer(
        faiss.IndexFlatIP(width), width, number, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT
    )
    lists.cp.niter = 10
    # FAISS warns below 39 vectors a centre.
    sample = np.random.default_rng(count).choice(count, min(count, 40 * number), replace=False)
    lists.train(np.ascontiguousarray(vectors[np.sort(sample)]))
    for start in range(0, count, EXACT):
        lists.add(np.ascontiguousarray(vectors[start : start + EXACT]))
    return lists
