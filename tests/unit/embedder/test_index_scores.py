"""A cosine is a number from -1 to 1, whatever the rounding gives."""

from __future__ import annotations

import datetime as dt

import numpy as np

from services.embedder.messages.messages import MessageFilter
from services.embedder.search.index import Entry, VectorIndex


def test_a_score_is_never_more_than_1() -> None:
    random = np.random.default_rng(7)
    vectors = random.standard_normal((2_000, 1024)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    # As vectors come from a model: of length 1 but for the rounding.
    vectors *= np.float32(1.0000002)
    index, now = VectorIndex(), dt.datetime(2026, 11, 30, tzinfo=dt.UTC)
    index.add({number: Entry(str(number), "user", "c", now) for number in range(2_000)}, vectors)
    scores = [index.nearest(vector, 1, MessageFilter())[0][2] for vector in vectors[:200]]
    assert max(scores) == 1.0
    assert min(index.nearest(-vectors[0], 2_000, MessageFilter()), key=lambda hit: hit[2])[2] == -1.0
