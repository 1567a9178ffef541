"""Two other ways to group centred vectors, by choice: spherical k-means and DBSCAN."""

from __future__ import annotations

import numpy as np

from services.embedder.insights.communities import NOISE, SEED, Labels, Vectors, neighbours

SAMPLE = 2000
MOST_CLUSTERS = 256
# Bounds of the number of clusters, as factors of the square root of the number of questions. Without them,
# the silhouette prefers pairs of near duplicates, or else two clusters by language.
LEAST_BY_ROOT, MOST_BY_ROOT = 0.3, 2.5
# The best of this many starts is kept. With three starts at random rows, k-means failed to find three clear
# topics in 30 of 100 orders of their questions.
STARTS = 10
# Of DBSCAN (Ester et al. 1996): a core has so many others within reach.
CORE, REACHED = 4, 32
# The reach is the distance that this share of the questions has to its CORE-th neighbour.
WITHIN_REACH = 0.6


def k_means(vectors: Vectors, clusters: int) -> Labels:
    """Returns the label of each row by spherical k-means; for 0 clusters, the silhouette tells how many."""
    wanted = min(clusters or _best_count(vectors), len(vectors))
    labels: Labels = np.argmax(vectors @ _centroids(vectors, wanted).T, axis=1)
    return labels


def dbscan(vectors: Vectors) -> Labels:
    """Returns the label of each row by DBSCAN, on its nearest neighbours; NOISE for what is near no core."""
    from scipy import sparse
    from scipy.sparse.csgraph import connected_components

    count = len(vectors)
    if count <= CORE:
        return np.full(count, NOISE, dtype=np.int64)
    cosines, nearest = neighbours(vectors, min(REACHED, count - 1))
    least = float(np.quantile(cosines[:, CORE - 1], 1 - WITHIN_REACH))
    near = (cosines >= least) & (nearest >= 0)
    core = near.sum(axis=1) >= CORE
    rows, columns = np.repeat(np.arange(count), near.sum(axis=1)), nearest[near]
    both = core[rows] & core[columns]
    graph = sparse.csr_matrix((np.ones(both.sum()), (rows[both], columns[both])), shape=(count, count))
    _, found = connected_components(graph, directed=False)
    # What is no core belongs to the nearest core within its reach.
    reaches_core = near & core[np.where(nearest >= 0, nearest, 0)]
    first = nearest[np.arange(count), np.argmax(reaches_core, axis=1)]
    labels: Labels = np.where(core, found, np.where(reaches_core.any(axis=1), found[first], NOISE)).astype(
        np.int64
    )
    return labels


def _centroids(vectors: Vectors, clusters: int) -> Vectors:
    """Returns the centroids [clusters, d] of the best start.

    Each start uses k-means++ (Arthur and Vassilvitskii 2007), which chooses rows far apart.
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
    return centroids


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
    distances = np.sort(np.maximum(1 - vectors @ _centroids(vectors, clusters).T, 1e-9), axis=1)
    return float(np.mean(1 - distances[:, 0] / distances[:, 1]))
