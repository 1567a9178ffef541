"""Groups questions by meaning, with a title and keywords for each group.

1. Small talk is set aside (`talk.py`). Of equal texts one is grouped, and stands for all.
2. Vectors are centred (`centring.py`) and grouped, by communities (`communities.py`) unless told otherwise.
3. Groups of a single question are noise.
4. A group's title is its medoid: the question nearest to the group's centroid. Keywords come from `words.py`.

Seeds are fixed, and the order of the questions, which is that of their ids, has no say in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

import numpy as np

from services.embedder.insights.centring import Means, centred, means_of
from services.embedder.insights.communities import NOISE, Labels, Vectors, communities
from services.embedder.insights.languages import script_of
from services.embedder.insights.other_ways import MOST_CLUSTERS, dbscan, k_means
from services.embedder.insights.talk import is_talk
from services.embedder.insights.words import keywords_of

__all__ = ["MOST_CLUSTERS", "Cluster", "Grouping", "Way", "cluster_questions"]

# A group has so many questions at least; equal ones count.
LEAST_MEMBERS = 2
# A new question is taken into a group if it is nearer to the centroid than this share of the members, ...
NEARER_THAN = 0.05
# ... but from the second of these cosines on in any case, and below the first in none.
LEAST_COSINE, NEAR_COSINE = 0.35, 0.5


class Way(Enum):
    """How questions are grouped."""

    COMMUNITIES = "communities"
    K_MEANS = "k_means"
    DBSCAN = "dbscan"


@dataclass(frozen=True)
class Cluster:
    """Questions with one meaning.

    `members` are their positions in the analysed texts, `title` is the position of the medoid. `centroid`
    [d] is a unit vector among centred ones; a new question belongs to it from the cosine `least` on.
    """

    members: Sequence[int]
    title: int
    keywords: Sequence[str]
    centroid: Vectors
    least: float


@dataclass(frozen=True)
class Grouping:
    """Clusters, largest first; the positions of what is in none; the means by which vectors are centred."""

    clusters: Sequence[Cluster] = ()
    noise: Sequence[int] = ()
    talk: Sequence[int] = ()
    means: Means = field(default_factory=dict)


def cluster_questions(
    texts: Sequence[str], vectors: Vectors, way: Way = Way.COMMUNITIES, clusters: int = 0
) -> Grouping:
    """Groups texts by their unit vectors [n, d]. `clusters`: how many k-means makes; 0: it finds that."""
    rows_of: dict[str, list[int]] = {}
    talk = [row for row, text in enumerate(texts) if is_talk(text)]
    for row in sorted(set(range(len(texts))) - set(talk)):
        rows_of.setdefault(texts[row].strip().casefold(), []).append(row)
    # In the order of the texts, so that the order of the rows has no say.
    copies = [rows_of[text] for text in sorted(rows_of)]
    if not copies:
        return Grouping(talk=tuple(talk))
    firsts = [rows[0] for rows in copies]
    scripts = [script_of(texts[row]) for row in firsts]
    own = _without_zeros(vectors)[firsts]
    means = means_of(own, scripts)
    points = centred(own, scripts, means)
    labels = _labels(points, way, clusters)
    _take_frequent(labels, copies)
    groups, alone = _groups(labels, copies)
    keywords = keywords_of([[texts[firsts[one]] for one in group] for group in groups])
    found = [_cluster(group, copies, points, words) for group, words in zip(groups, keywords, strict=True)]
    found.sort(key=lambda cluster: (-len(cluster.members), texts[cluster.title]))
    noise = sorted(row for one in alone for row in copies[one])
    return Grouping(found, noise, talk, means)


def _labels(points: Vectors, way: Way, clusters: int) -> Labels:
    match way:
        case Way.COMMUNITIES:
            return communities(points)
        case Way.K_MEANS:
            return k_means(points, clusters)
        case Way.DBSCAN:
            return dbscan(points)


def _take_frequent(labels: Labels, copies: Sequence[Sequence[int]]) -> None:
    """Gives a text that is like no other, but was asked several times, a label of its own."""
    fresh = int(labels.max(initial=NOISE)) + 1
    for one in np.flatnonzero(labels == NOISE).tolist():
        if len(copies[one]) >= LEAST_MEMBERS:
            labels[one] = fresh
            fresh += 1


def _groups(labels: Labels, copies: Sequence[Sequence[int]]) -> tuple[list[list[int]], list[int]]:
    """Returns the texts of each group, and those of none."""
    members: dict[int, list[int]] = {}
    for one, label in enumerate(labels.tolist()):
        members.setdefault(label, []).append(one)
    alone = members.pop(NOISE, [])
    groups = []
    for _, group in sorted(members.items()):
        if sum(len(copies[one]) for one in group) >= LEAST_MEMBERS:
            groups.append(group)
        else:
            alone += group
    return groups, alone


def _cluster(
    group: Sequence[int], copies: Sequence[Sequence[int]], points: Vectors, keywords: Sequence[str]
) -> Cluster:
    own = points[group]
    # A question counts as often as it was asked.
    sums = np.array([len(copies[one]) for one in group], dtype=np.float32) @ own
    length = float(np.linalg.norm(sums))
    centroid: Vectors = (sums / length if length > 1e-6 else own[0]).astype(np.float32)
    cosines = own @ centroid
    return Cluster(
        members=sorted(row for one in group for row in copies[one]),
        title=copies[group[int(np.argmax(cosines))]][0],
        keywords=keywords,
        centroid=centroid,
        least=float(np.clip(np.quantile(cosines, NEARER_THAN), LEAST_COSINE, NEAR_COSINE)),
    )


def _without_zeros(vectors: Vectors) -> Vectors:
    """Leaves out the columns behind the last one that is not zero: a lifted model's vectors have many."""
    used = np.flatnonzero(np.abs(vectors[:1000]).max(axis=0))
    width = int(used[-1]) + 1 if len(used) else 1
    return vectors if np.any(vectors[:, width:]) else vectors[:, :width]


def widened(vector: Vectors, width: int) -> Vectors:
    """Returns the vector with zeros up to `width` numbers."""
    return np.pad(vector, (0, width - len(vector)))


def nearest_clusters(text: str, vector: Vectors, means: Mapping[str, Vectors], centroids: Vectors) -> Vectors:
    """Returns the cosines [k] of a text's unit vector [d] to the centroids [k, d]."""
    [point] = centred(vector[None, :], [script_of(text)], means)
    cosines: Vectors = centroids @ point
    return cosines
