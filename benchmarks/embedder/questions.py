"""Groups of questions, measured on labelled ones: python -m benchmarks.embedder.questions FOLDER

FOLDER has questions_en.csv and questions_zh.csv, each with the columns `text` and `label`. Told are the
adjusted mutual information of groups and labels (1: equal, 0: chance), the steadiness of groups between two
samples of 80 %, CPU seconds, how many questions were taken for small talk, and what 100,000 questions take.
"""

from __future__ import annotations

import csv
import resource
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import adjusted_mutual_info_score  # type: ignore[import-not-found]

from services.embedder.insights.clusters import cluster_questions
from services.embedder.insights.communities import Vectors
from services.embedder.insights.talk import is_talk
from services.embedder.model.encoder import Encoder
from services.embedder.model.graph import Engine
from services.embedder.model.onnx_model import OnnxModel
from tests.support.models import embedded_model

MANY = 100_000


def labels_of(texts: Sequence[str], vectors: Vectors) -> NDArray[np.int64]:
    labels = np.full(len(texts), -1, dtype=np.int64)
    for number, cluster in enumerate(cluster_questions(texts, vectors).clusters):
        labels[list(cluster.members)] = number
    return labels


def steadiness(texts: Sequence[str], vectors: Vectors) -> float:
    """Returns the information that the groups of two samples have in common on what both have."""
    random = np.random.default_rng(0)
    one, other = (np.sort(random.permutation(len(texts))[: len(texts) * 4 // 5]) for _ in range(2))
    found = [labels_of([texts[row] for row in rows], vectors[rows]) for rows in (one, other)]
    common = np.intersect1d(one, other)
    score: float = adjusted_mutual_info_score(
        found[0][np.searchsorted(one, common)], found[1][np.searchsorted(other, common)]
    )
    return score


def many(texts: Sequence[str], vectors: Vectors) -> None:
    """Groups 100,000 questions: the real ones, each several times with noise of a paraphrase's size."""
    random = np.random.default_rng(1)
    rows = np.arange(MANY) % len(texts)
    noisy = vectors[rows]
    noisy += random.normal(0, 0.015, noisy.shape).astype(np.float32)
    noisy /= np.linalg.norm(noisy, axis=1, keepdims=True)
    named = [f"{texts[row]} {number}" for number, row in enumerate(rows.tolist())]
    cpu, wall = time.process_time(), time.monotonic()
    found = cluster_questions(named, noisy)
    cpu, wall = time.process_time() - cpu, time.monotonic() - wall
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{MANY:,}: {cpu:.1f} s of CPU, {wall:.1f} s, {peak:,.0f} MB, {len(found.clusters)} groups",
        flush=True,
    )


def main(folder: Path) -> None:
    encoder = Encoder(OnnxModel(embedded_model(), Engine(threads=2)), 512)
    texts: dict[str, list[str]] = {}
    labels: dict[str, list[str]] = {}
    vectors: dict[str, Vectors] = {}
    for language in ("en", "zh"):
        with (folder / f"questions_{language}.csv").open(encoding="utf-8") as rows:
            read = list(csv.DictReader(rows))
        texts[language] = [row["text"] for row in read]
        labels[language] = [language + row["label"] for row in read]
        vectors[language] = encoder.embed(texts[language], "user")
    texts["both"], labels["both"] = texts["en"] + texts["zh"], labels["en"] + labels["zh"]
    vectors["both"] = np.concatenate([vectors["en"], vectors["zh"]])
    for name in texts:
        began = time.process_time()
        found = labels_of(texts[name], vectors[name])
        seconds = time.process_time() - began
        score = adjusted_mutual_info_score(labels[name], found)
        steady, talk = steadiness(texts[name], vectors[name]), sum(map(is_talk, texts[name]))
        groups, noise = len(set(found)) - 1, float((found < 0).mean())
        print(f"{name}: information {score:.3f}, steady {steady:.3f}, {seconds:.1f} s of CPU,", end=" ")
        print(f"{groups} groups, {noise:.1%} in none, {talk} taken for small talk", flush=True)
    many(texts["both"], vectors["both"])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
