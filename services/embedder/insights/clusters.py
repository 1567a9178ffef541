"""Questions grouped by meaning: spherical k-means on their vectors, and words that tell groups apart."""

from __future__ import annotations

import logging
import math
import re
import warnings
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import faiss
import numpy as np
from numpy.typing import NDArray

SAMPLE = 2000
MOST_CLUSTERS = 256
# Times the square root of the number of questions. The silhouette likes pairs of near doubles best, and next
# to them the two halves of a chat in two languages: neither tells what is asked often.
LEAST_BY_ROOT, MOST_BY_ROOT = 0.3, 2.5
KEYWORDS = 5
HAN = re.compile(r"[\u4e00-\u9fff]")
WORD = re.compile(r"\w\w+")
SEED = 7
# Of so many, the best is kept. After three starts at rows of any kind, three plain topics were still missed
# in 30 of 100 orders of their questions.
STARTS = 10

Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class Cluster:
    """Questions with one meaning: their positions in what was analysed, the medoid's text, keywords."""

    members: Sequence[int]
    title: str
    keywords: Sequence[str]


def cluster_questions(texts: Sequence[str], vectors: Vectors, clusters: int = 0) -> list[Cluster]:
    """Groups texts by their unit vectors [n, d], largest group first; `clusters` 0: found by silhouette.

    The order of the texts, which is that of their ids, has no say in which of them form a group.
    """
    if not texts:
        return []
    # K-means draws the rows where it begins by their position, and ends at the optimum next to them: in the
    # order of ids, the same questions would be other groups under other ids.
    order = sorted(range(len(texts)), key=lambda row: (texts[row], zlib.crc32(vectors[row].tobytes())))
    texts, vectors = [texts[row] for row in order], vectors[order]
    wanted = min(clusters or _best_count(vectors), len(texts))
    centroids, labels = _k_means(vectors, wanted)
    groups = [np.flatnonzero(labels == number) for number in range(wanted)]
    centres = [centroids[number] for number, group in enumerate(groups) if len(group)]
    groups = [group for group in groups if len(group)]
    keywords = _keywords([[texts[int(row)] for row in group] for group in groups])
    found = [
        Cluster(
            sorted(order[row] for row in group),
            texts[int(group[int(np.argmax(vectors[group] @ centre))])],
            words,
        )
        for group, centre, words in zip(groups, centres, keywords, strict=True)
    ]
    return sorted(found, key=lambda cluster: (-len(cluster.members), cluster.title))


def _k_means(vectors: Vectors, clusters: int) -> tuple[Vectors, NDArray[np.int64]]:
    """Centroids [clusters, d] and each row's centroid, after the best of several starts.

    They begin with k-means++ (Arthur and Vassilvitskii 2007), at rows far apart: what is asked often is many
    rows of one text, and rows of any kind would often be two of them.
    """
    means = faiss.Kmeans(
        vectors.shape[1],
        clusters,
        niter=20,
        nredo=STARTS,
        seed=SEED,
        spherical=True,
        min_points_per_centroid=1,
        init_method=faiss.ClusteringInitMethod_KMEANS_PLUS_PLUS,
    )
    means.train(np.ascontiguousarray(vectors, dtype=np.float32))
    assert means.centroids is not None
    centroids: Vectors = means.centroids
    labels: NDArray[np.int64] = np.argmax(vectors @ centroids.T, axis=1)
    return centroids, labels


def _best_count(vectors: Vectors) -> int:
    """The number of clusters with the best silhouette on a sample, among powers of the square root of 2.

    The simplified silhouette (Hruschka et al. 2004): distances to centroids, not to all others.
    """
    rows = np.random.default_rng(SEED).permutation(len(vectors))[:SAMPLE]
    sample, root = vectors[rows], len(rows) ** 0.5
    most = min(MOST_CLUSTERS, len(rows) // 2, round(MOST_BY_ROOT * root))
    counts = sorted({round(2 ** (step / 2)) for step in range(2, 17)})
    candidates = [count for count in counts if LEAST_BY_ROOT * root <= count <= most]
    return max(candidates, key=lambda count: _silhouette(sample, count), default=1)


def _silhouette(vectors: Vectors, clusters: int) -> float:
    centroids, _ = _k_means(vectors, clusters)
    distances = np.sort(np.maximum(1 - vectors @ centroids.T, 1e-9), axis=1)
    return float(np.mean(1 - distances[:, 0] / distances[:, 1]))


def _keywords(groups: Sequence[Sequence[str]]) -> list[list[str]]:
    """Class-based TF-IDF (Grootendorst 2022): a word's share of the group, times its rarity over all."""
    counts = [Counter(word for text in group for word in words_of(text)) for group in groups]
    overall = sum(counts, Counter[str]())
    average = overall.total() / max(len(groups), 1)

    def strongest(count: Counter[str]) -> list[str]:
        weights = {word: n * math.log(1 + average / overall[word]) for word, n in count.items()}
        return sorted(weights, key=lambda word: (-weights[word], word))[:KEYWORDS]

    return [strongest(count) for count in counts]


def words_of(text: str) -> list[str]:
    """The words of at least two characters, in lower case; Chinese is cut by its dictionary."""
    words = _jieba_cut(text) if HAN.search(text) else [text]
    return [found.lower() for word in words for found in WORD.findall(word)]


def _jieba_cut(text: str) -> list[str]:
    # Loaded when Chinese is first met: its dictionary takes a second and 100 MB. Its old escapes and its
    # use of pkg_resources warn, and it logs to standard error.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import jieba
    jieba.setLogLevel(logging.WARNING)
    words: list[str] = jieba.lcut(text)
    return words
