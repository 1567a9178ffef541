"""The most that the model gives on this machine: its session, fed by as many processes as the worker has.

The texts are read into tokens, sorted and cut into batches of the best size before the clock starts; then
each process takes the next batch as soon as it has run one. Nothing is read from anywhere, nothing written.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.embedder.model.encoder import InputType
from services.embedder.model.graph import Engine
from services.embedder.model.onnx_model import OnnxModel
from services.embedder.model.runtime import onnxruntime

BUDGETS = (256, 512, 1024)
SAMPLE = 40

Batch = tuple[NDArray[np.int64], NDArray[np.int64]]


class Peer:
    """Processes that hold a session and the batches, and run when they are told."""

    def __init__(self, connections: Sequence[Connection], texts: int) -> None:
        self._connections = connections
        self._texts = texts

    def rate(self) -> float:
        """Texts a second, from the word to run until the last process has done its last batch."""
        for connection in self._connections:
            connection.send("ready?")
        for connection in self._connections:
            connection.recv()
        began = time.perf_counter()
        for connection in self._connections:
            connection.send("run")
        for connection in self._connections:
            connection.recv()
        return self._texts / (time.perf_counter() - began)


@contextmanager
def running(folder: Path, texts: Sequence[str], processes: int, threads: int) -> Iterator[Peer]:
    """Starts the processes, and stops them in the end."""
    # Not forked: the runtime's threads would be missing.
    context = multiprocessing.get_context("spawn")
    taken = context.Value("i", 0)
    pairs = [context.Pipe() for _ in range(processes)]
    workers = [
        context.Process(target=_work, args=(inner, taken, folder, texts, threads), daemon=True)
        for _, inner in pairs
    ]
    for worker in workers:
        worker.start()
    connections = [outer for outer, _ in pairs]
    for connection in connections:
        connection.recv()
    try:
        yield Peer(connections, len(texts))
    finally:
        for worker in workers:
            worker.terminate()
            worker.join()


def _work(connection: Connection, taken: Any, folder: Path, texts: Sequence[str], threads: int) -> None:
    model = OnnxModel(folder, Engine(threads=threads))
    tokens = [text.ids for text in model.tokens(texts, InputType.QUERY)]
    session = _session(folder, threads)
    budget = _best_budget(session, tokens)
    batches = _batches(tokens, budget)
    connection.send(budget)
    while True:
        connection.recv()
        taken.value = 0
        connection.send("ready")
        connection.recv()
        while True:
            with taken.get_lock():
                number = taken.value
                taken.value += 1
            if number >= len(batches):
                break
            _run(session, batches[number])
        connection.send("done")


def _session(folder: Path, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(
        str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"]
    )


def _run(session: onnxruntime.InferenceSession, batch: Batch) -> None:
    session.run(None, {"input_ids": batch[0], "attention_mask": batch[1]})


def _best_budget(session: onnxruntime.InferenceSession, tokens: Sequence[NDArray[np.int64]]) -> int:
    sample = tokens[:: max(1, len(tokens) // SAMPLE)]
    seconds: dict[int, list[float]] = {budget: [] for budget in BUDGETS}
    for _ in range(2):
        for budget in BUDGETS:
            began = time.perf_counter()
            for batch in _batches(sample, budget):
                _run(session, batch)
            seconds[budget].append(time.perf_counter() - began)
    return min(BUDGETS, key=lambda budget: min(seconds[budget]))


def _batches(tokens: Sequence[NDArray[np.int64]], budget: int) -> list[Batch]:
    """Longest first, each as full as the budget allows."""
    found: list[Batch] = []
    waiting = sorted(tokens, key=len, reverse=True)
    while waiting:
        longest = len(waiting[0])
        batch, waiting = waiting[: max(1, budget // longest)], waiting[max(1, budget // longest) :]
        ids = np.zeros((len(batch), longest), dtype=np.int64)
        mask = np.zeros_like(ids)
        for row, text in enumerate(batch):
            ids[row, : len(text)] = text
            mask[row, : len(text)] = 1
        found.append((ids, mask))
    return found
