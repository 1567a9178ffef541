"""Search at 100,000 vectors beside a flat scan by FAISS, in one process: python -m benchmarks.embedder.search

The questions of ../shared/data, if they are there, are embedded by the embedded model, 13,000 of them; the
other vectors are mixtures of two of these, so that they lie where texts lie. Without the data all are made.
The queries are questions that are left out of the index. Both sides take turns; medians and p99 of each.
"""

from __future__ import annotations

import csv
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from benchmarks.embedder import texts
from benchmarks.report import Measure, quick, report
from services.embedder.messages.messages import MessageFilter
from services.embedder.model.encoder import Encoder
from services.embedder.model.graph import Engine
from services.embedder.model.onnx_model import OnnxModel
from services.embedder.search.index import VectorIndex
from services.embedder.search.marks import MARK
from services.embedder.search.saved import IndexFolder
from services.embedder.settings import PROVIDERS
from tests.support.models import embedded_model

DATA = Path(__file__).parents[3] / "shared/data"
QUERIES, K, CLIENTS = 300, 10, 8
MODEL = "benchmark@1"
Vectors = NDArray[np.float32]


def questions(most: int) -> list[str]:
    found: list[str] = []
    for path in sorted(DATA.glob("questions_*.csv")):
        with path.open(newline="") as file:
            found += [row["text"] for row in csv.DictReader(file)]
    found = found or [message.text for message in texts.messages(most)]
    np.random.default_rng(3).shuffle(found)
    return found[:most]


def vectors(count: int) -> tuple[Vectors, Vectors]:
    """Returns unit vectors to search in, float32 [count, 1024], and those to search for, [QUERIES, 1024]."""
    model = OnnxModel(embedded_model(), Engine(PROVIDERS["cpu"], 2))
    real = Encoder(model, 512).embed(questions(4_000 if quick() else 13_000), "user")
    queries, real = real[:QUERIES], real[QUERIES:]
    random = np.random.default_rng(5)
    first, second = (real[random.integers(0, len(real), count - len(real))] for _ in range(2))
    share = random.uniform(0.6, 0.9, (len(first), 1)).astype(np.float32)
    made = share * first + (1 - share) * second
    made /= np.linalg.norm(made, axis=1, keepdims=True)
    return np.concatenate([real, made]), queries


def milliseconds(search: Callable[[Vectors], object], queries: Vectors) -> list[float]:
    taken = []
    for query in queries:
        began = time.perf_counter()
        search(query)
        taken.append(1000 * (time.perf_counter() - began))
    return taken


def rate(search: Callable[[Vectors], object], queries: Vectors, clients: int) -> float:
    """Searches a second by so many threads."""
    began = time.perf_counter()
    with ThreadPoolExecutor(clients) as threads:
        list(threads.map(search, queries))
    return len(queries) / (time.perf_counter() - began)


def main() -> None:
    count = 20_000 if quick() else 100_000
    stored, queries = vectors(count)
    marks = np.zeros(count, dtype=MARK)
    marks["write"] = np.arange(count)
    with tempfile.TemporaryDirectory() as folder:
        index = VectorIndex(IndexFolder(Path(folder), MODEL))
        for start in range(0, count, 2_000):
            index.add(marks[start : start + 2_000], stored[start : start + 2_000])
        began = time.process_time()
        index.build()
        print(f"built in {time.process_time() - began:.1f} s of CPU", flush=True)
        del index
        before = resident()
        index = VectorIndex(IndexFolder(Path(folder), MODEL))
        flat: Any = faiss.IndexFlatIP(stored.shape[1])

        def ours(query: NDArray[np.float32]) -> object:
            return index.nearest(query, K, MessageFilter())

        def theirs(query: NDArray[np.float32]) -> object:
            return flat.search(query[None], K)

        for query in queries:
            ours(query)
        held = resident() - before
        flat.add(stored)
        measure(ours, theirs, queries, held)


def resident() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def measure(
    ours: Callable[[Vectors], object], theirs: Callable[[Vectors], object], queries: Vectors, held: float
) -> None:
    found = [{write for write, _ in ours(query)} for query in queries]  # type: ignore[attr-defined]
    exact = [set(theirs(query)[1][0].tolist()) for query in queries]  # type: ignore[index]
    recall = statistics.mean(len(one & other) / K for one, other in zip(found, exact, strict=True))
    mine: list[float] = []
    flat: list[float] = []
    for start in range(0, len(queries), 50):
        mine += milliseconds(ours, queries[start : start + 50])
        flat += milliseconds(theirs, queries[start : start + 50])
    one = statistics.median(rate(ours, queries, 1) for _ in range(5))
    many = statistics.median(rate(ours, queries, CLIENTS) for _ in range(5))
    cores, scaled = len(os.sched_getaffinity(0)), many / one
    p99 = float(np.percentile(mine, 99)), float(np.percentile(flat, 99))
    half = statistics.median(mine), statistics.median(flat)
    least = min(5.0, 0.8 * cores)
    name = "search at 100,000: " if not quick() else "search at 20,000: "
    report(
        [
            Measure(f"{name}recall@10", recall, "", 1.0, recall, "0.99", recall >= 0.99),
            Measure(f"{name}p50", half[0], "ms", half[1], half[1] / half[0], "told", True),
            Measure(f"{name}p99", p99[0], "ms", p99[1], p99[1] / p99[0], "15 ms", p99[0] <= 15),
            Measure(f"{name}8 clients", many, "1/s", one, scaled, f"{least:.1f} of one", scaled >= least),
            Measure(f"{name}memory", held, "MB", 4.096 * 100, 409.6 / held, "told", True),
        ]
    )


if __name__ == "__main__":
    main()
