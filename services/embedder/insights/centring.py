"""Centring: takes out of vectors what all questions of one script have in common.

With e5 that is most of a vector: unrelated Chinese questions have a cosine of 0.82. The language goes with
the mean of its script, so that one question in two languages comes into one group.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from services.embedder.insights.communities import Vectors

# The mean of a script leans on that of all questions, as if it had so many average ones besides.
AVERAGE_ONES = 10
# The mean of all, for scripts of which there was no question.
ALL = "all"

# Means [d] by script, and that of ALL.
Means = Mapping[str, Vectors]


def means_of(vectors: Vectors, scripts: Sequence[str]) -> Means:
    """Returns the means of the vectors [n, d] by the script of each, and of all."""
    # Of a few questions, perhaps on one topic, the mean says what they ask: it counts only for a part.
    overall = vectors.sum(axis=0, dtype=np.float64) / (len(vectors) + AVERAGE_ONES)
    found: dict[str, Vectors] = {ALL: overall.astype(np.float32)}
    named = np.asarray(scripts)
    for script in sorted(set(scripts)):
        own = vectors[named == script]
        total = own.sum(axis=0, dtype=np.float64) + AVERAGE_ONES * overall
        found[script] = (total / (len(own) + AVERAGE_ONES)).astype(np.float32)
    return found


def centred(vectors: Vectors, scripts: Sequence[str], means: Means) -> Vectors:
    """Returns unit vectors [n, d] of the differences to the means of the scripts; zero for no difference."""
    named = np.asarray(scripts)
    rest = np.empty(vectors.shape, dtype=np.float32)
    for script in set(scripts):
        of_it = named == script
        rest[of_it] = vectors[of_it] - means.get(script, means[ALL])
    lengths = np.linalg.norm(rest, axis=1, keepdims=True)
    rest /= np.where(lengths > 1e-6, lengths, np.inf)
    return rest
