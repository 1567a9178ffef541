"""Identity: a group goes on as the one before with which it shares most members, or the centroid."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from services.embedder.insights.communities import Vectors

# The least share of members that two groups must have in common, of those that both analyses know.
LEAST_SHARED = 0.25
# Or the least cosine of their centroids, where members tell nothing: messages may have been deleted since.
LEAST_COSINE = 0.8


@dataclass(frozen=True)
class Known:
    """Groups of the analysis before: their ids, their centroids [k, d], and the group of each message.

    A group without a centroid, of a version before, has a zero row.
    """

    ids: Sequence[int]
    centroids: Vectors
    group_of: Mapping[str, int]


def same_groups(known: Known, members: Sequence[Sequence[str]], centroids: Vectors) -> dict[int, int]:
    """Returns the ids of known groups that new ones continue, by the positions of the new ones in `members`.

    `centroids` [n, d] are the new groups'. One known group is continued by one new group at most; the most
    alike pairs come first. Of a group that was split, the larger part goes on; of two joined, the larger.
    """
    common: Counter[tuple[int, int]] = Counter()
    seen_of_new: Counter[int] = Counter()
    seen_of_known: Counter[int] = Counter()
    for position, messages in enumerate(members):
        for message in messages:
            if (group := known.group_of.get(message)) is not None:
                common[group, position] += 1
                seen_of_new[position] += 1
                seen_of_known[group] += 1
    shared = {
        pair: count / (seen_of_known[pair[0]] + seen_of_new[pair[1]] - count)
        for pair, count in common.items()
    }
    alike = [
        (-share, group, position) for (group, position), share in shared.items() if share >= LEAST_SHARED
    ]
    # After all that members tell.
    alike += [(1 - cosine, group, position) for cosine, group, position in _near(known, centroids)]
    continued: dict[int, int] = {}
    taken: set[int] = set()
    for _, group, position in sorted(alike):
        if position not in continued and group not in taken:
            continued[position] = group
            taken.add(group)
    return continued


def _near(known: Known, centroids: Vectors) -> list[tuple[float, int, int]]:
    if not len(known.ids) or not len(centroids):
        return []
    cosines = known.centroids @ centroids.T
    rows, columns = np.nonzero(cosines >= LEAST_COSINE)
    return [
        (float(cosines[row, column]), known.ids[row], column)
        for row, column in zip(rows.tolist(), columns.tolist(), strict=True)
    ]
