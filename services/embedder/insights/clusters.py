"""Groups questions by meaning: spherical k-means on their vectors, and keywords for each group."""

from __future__ import annotations

import logging
import math
import re
import warnings
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SAMPLE = 2000
MOST_CLUSTERS = 256
# Bounds of the number of clusters, as factors of the square root of the number of questions. Without them,
# the silhouette prefers pairs of near duplicates, or else two clusters by language: neither of them shows
# which questions are asked often.
LEAST_BY_ROOT, MOST_BY_ROOT = 0.3, 2.5
KEYWORDS = 5
HAN = re.compile(r"[\u4e00-\u9fff]")
WORD = re.compile(r"\w\w+")
SEED = 7
# The best of this many starts is kept. With three starts at random rows, k-means failed to find three clear
# topics in 30 of 100 orders of their questions.
STARTS = 10

Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class Cluster:
    """Questions with one meaning.

    `members` are their positions in the analysed texts, `title` is the text nearest to the centroid.
    """

    members: Sequence[int]
    title: str
    keywords: Sequence[str]


def cluster_questions(texts: Sequence[str], vectors: Vectors, clusters: int = 0) -> list[Cluster]:
    """Groups texts by their unit vectors [n, d]. Returns the groups, largest first.

    `clusters` is the number of groups; with 0, the silhouette determines it. The order of the texts, which is
    that of their ids, does not influence the groups.
    """
    if not texts:
        return []
    # K-means draws its first rows by position and ends at a local optimum near them: without this sorting,
    # the same questions would form other groups under other ids.
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
    """Returns the centroids [clusters, d] and the number of each row's centroid, from the best start.

    Each start uses k-means++ (Arthur and Vassilvitskii 2007), which chooses rows far apart: a frequent
    question occurs in many rows, so that random rows would often be two of the same text.
    """
    # Imported here, because it takes a tenth of a second, and most workers never group questions.
    import faiss

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
    """Returns the number of clusters with the best silhouette on a sample, among powers of sqrt(2).

    It is the simplified silhouette (Hruschka et al. 2004): it uses distances to centroids, not to all rows.
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
    """Returns the keywords of each group by class-based TF-IDF (Grootendorst 2022): a word's count in the
    group, times its rarity in all groups."""
    counts = [Counter(word for text in group for word in words_of(text)) for group in groups]
    overall = sum(counts, Counter[str]())
    average = overall.total() / max(len(groups), 1)

    def strongest(count: Counter[str]) -> list[str]:
        weights = {word: n * math.log(1 + average / overall[word]) for word, n in count.items()}
        return sorted(weights, key=lambda word: (-weights[word], word))[:KEYWORDS]

    return [strongest(count) for count in counts]


def words_of(text: str) -> list[str]:
    """Returns the words of at least two characters, in lower case. Chinese is segmented by jieba."""
    words = _jieba_cut(text) if HAN.search(text) else [text]
    return [found.lower() for word in words for found in WORD.findall(word)]


def _jieba_cut(text: str) -> list[str]:
    # Imported at the first Chinese text: its dictionary takes a second and 100 MB. The import emits warnings
    # (invalid escapes, pkg_resources), and the library logs to standard error.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import jieba
    jieba.setLogLevel(logging.WARNING)
    words: list[str] = jieba.lcut(text)
    return words
