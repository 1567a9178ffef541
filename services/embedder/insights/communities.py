"""Groups vectors by communities of their graph of nearest neighbours: the default way.

1. The vectors come centred (`centring.py`).
2. Each is linked to its nearest neighbours (faiss; from `MANY` on by the lists of an inverted file).
3. Links below `LEAST_COSINE` are left out, so that what is like nothing stays alone.
4. Leiden (Traag, Waltman and van Eck 2019; scikit-network) finds the communities `RUNS` times, in different
   orders, and once more with links weighted by how often their ends came together (consensus clustering,
   Lancichinetti and Fortunato 2012): that is better, and steadier from sample to sample.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Vectors: TypeAlias = NDArray[np.float32]
Labels: TypeAlias = NDArray[np.int64]

# Not in any group.
NOISE = -1
NEIGHBOURS = 15
# Of Leiden: higher makes more and smaller groups. Best of 1 to 10 on labelled questions in both languages.
MOST_RESOLUTION = 5.0
# A resolution higher than there are topics leaves everybody alone, and few questions have few topics.
RESOLUTION_BY_ROOT = 0.25
# Of centred vectors, where unrelated questions are at 0.
LEAST_COSINE = 0.3
RUNS = 10
# From so many rows on, neighbours are searched in some lists of an inverted file; below, among all rows.
MANY = 20_000
LISTS, PROBED, TRAINED = 512, 24, 40_000
SEED = 7


def communities(vectors: Vectors) -> Labels:
    """Returns a label for each of the centred vectors [n, d]; NOISE for those that are like no other."""
    # Imported here, because it takes half a second, and most workers never group questions.
    from scipy import sparse

    count = len(vectors)
    if count < 2:
        return np.full(count, NOISE, dtype=np.int64)
    cosines, nearest = neighbours(vectors, min(NEIGHBOURS, count - 1))
    rows = np.repeat(np.arange(count), nearest.shape[1])
    linked = (cosines.ravel() >= LEAST_COSINE) & (nearest.ravel() >= 0)
    graph = sparse.csr_matrix(
        (cosines.ravel()[linked], (rows[linked], nearest.ravel()[linked])), shape=(count, count)
    )
    # Either side's link is a link.
    graph = graph.maximum(graph.T).tocoo()
    weights = graph.data * _agreed(graph) ** 2
    kept = weights > 0
    steady = sparse.csr_matrix((weights[kept], (graph.row[kept], graph.col[kept])), shape=graph.shape)
    labels = _leiden(steady, SEED, shuffle=False)
    labels[np.diff(steady.indptr) == 0] = NOISE
    return labels


def _agreed(graph: Any) -> NDArray[np.float64]:
    """Returns for each link of the graph in what share of RUNS its ends were in one community."""
    together = np.zeros(graph.nnz)
    for run in range(RUNS if graph.nnz else 0):
        labels = _leiden(graph.tocsr(), run, shuffle=True)
        together += labels[graph.row] == labels[graph.col]
    return together / RUNS


def _leiden(graph: Any, seed: int, *, shuffle: bool) -> Labels:
    from sknetwork.clustering import Leiden

    if graph.nnz == 0:
        return np.full(graph.shape[0], NOISE, dtype=np.int64)
    leiden = Leiden(
        resolution=max(1.0, min(MOST_RESOLUTION, RESOLUTION_BY_ROOT * graph.shape[0] ** 0.5)),
        shuffle_nodes=shuffle,
        random_state=seed,
        return_probs=False,
        return_aggregate=False,
    )
    labels: Labels = leiden.fit_predict(graph).astype(np.int64)
    return labels


def neighbours(vectors: Vectors, most: int) -> tuple[Vectors, Labels]:
    """Returns the cosines and rows [n, most] of each row's nearest others, best first; row -1 for none."""
    import faiss

    count, width = vectors.shape
    index: faiss.Index = faiss.IndexFlatIP(width)
    if count >= MANY:
        index = faiss.IndexIVFFlat(index, width, LISTS, faiss.METRIC_INNER_PRODUCT)
        index.cp.seed, index.cp.max_points_per_centroid = SEED, TRAINED // LISTS
        index.nprobe = PROBED
        index.train(vectors)
    index.add(vectors)
    cosines, nearest = index.search(vectors, most + 1)
    return _without_itself(cosines, nearest)


def _without_itself(cosines: Vectors, nearest: Labels) -> tuple[Vectors, Labels]:
    """Takes each row out of its own list; where equal vectors pushed it out of it, takes out the last."""
    own = nearest == np.arange(len(nearest))[:, None]
    own[~own.any(axis=1), -1] = True
    shape = (len(nearest), nearest.shape[1] - 1)
    return cosines[~own].reshape(shape), nearest[~own].reshape(shape)
