"""How many texts and tokens were embedded, for Prometheus: `online` for callers, or in `bulk` by workers."""

from __future__ import annotations

import asyncio
import os
import struct

from prometheus_client import CollectorRegistry, Counter

# Texts and tokens of one call, as a process of the pool tells them; written at once, as it is so short.
TOLD = struct.Struct("=QQ")
READ_BYTES = 4096 * TOLD.size


class EmbeddedCounts:
    """`path`: "online" or "bulk"."""

    def __init__(self, registry: CollectorRegistry, path: str) -> None:
        self._texts = Counter(
            "celeriac_embedder_texts", "Texts that were embedded", ["path"], registry=registry
        ).labels(path)
        self._tokens = Counter(
            "celeriac_embedder_tokens", "Tokens of these texts", ["path"], registry=registry
        ).labels(path)

    def add(self, texts: int, tokens: int) -> None:
        self._texts.inc(texts)
        self._tokens.inc(tokens)


class ToldCounts:
    """What the processes of a worker's pool count, told to its main process over a pipe.

    To be made before they are forked. A process that is killed takes nothing with it, and holds nobody up.
    """

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        for each in (self._read, self._write):
            os.set_blocking(each, False)

    def add(self, texts: int, tokens: int) -> None:
        """Called in a process of the pool."""
        try:
            os.write(self._write, TOLD.pack(texts, tokens))
        except BlockingIOError:
            # Nobody has read for thousands of calls: where the port for metrics is off, nobody ever does.
            return

    def count_into(self, counts: EmbeddedCounts) -> None:
        """Called in the main process: counts what is told from now on, on the running event loop."""

        def take() -> None:
            for texts, tokens in TOLD.iter_unpack(os.read(self._read, READ_BYTES)):
                counts.add(texts, tokens)

        asyncio.get_running_loop().add_reader(self._read, take)
