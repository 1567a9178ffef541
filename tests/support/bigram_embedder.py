"""The embedder around a tiny model, to be started as a process: python -m tests.support.bigram_embedder

Texts become the hashed bigrams of their characters: near where they share words, the same everywhere, and
loaded in no time. Three words stand for what real texts do to a real engine: "poison" makes it raise,
"slow" keeps it busy, "deadly" kills its process.
"""

from __future__ import annotations

import os
import signal
import sys
import time
import zlib
from collections.abc import Sequence

import numpy as np
import uvloop
from numpy.typing import NDArray

from services.embedder.bulk.tasks import register
from services.embedder.bulk.worker import PoolProcess, celery_app, work
from services.embedder.counts import ToldCounts
from services.embedder.model.encoder import Encoder, InputType, ModelFacts, Pooling
from services.embedder.model.packing import Tokens
from services.embedder.serving import serve
from services.embedder.settings import EmbedderSettings
from services.kernel import logging
from services.kernel.variables import read

BATCH_TOKENS = 512


class Bigrams:
    """A model (services.embedder.model.encoder.Model) whose tokens are characters."""

    facts = ModelFacts(
        name="bigrams",
        digest="1",
        pooling=Pooling.UNKNOWN,
        max_tokens=512,
        prefixes=dict.fromkeys(InputType, ""),
        providers=("none",),
    )

    def tokens(self, texts: Sequence[str], input_type: InputType) -> list[Tokens]:
        limit = self.facts.max_tokens
        return [
            Tokens(np.array([ord(character) for character in text[:limit]], np.int64), len(text) > limit)
            for text in texts
        ]

    def run(self, batch: Sequence[Tokens]) -> NDArray[np.float32]:
        texts = ["".join(map(chr, text.ids)) for text in batch]
        if any("poison" in text for text in texts):
            raise ValueError("this text can't be embedded")
        if any("deadly" in text for text in texts):
            os.kill(os.getpid(), signal.SIGKILL)
        if any("slow" in text for text in texts):
            time.sleep(3)
        vectors = np.zeros((len(texts), 1024), dtype=np.float32)
        for row, text in zip(vectors, texts, strict=True):
            for first, second in zip(f" {text}", f"{text} ", strict=True):
                row[zlib.crc32(f"{first}{second}".encode()) % 1024] += 1
        lengths: NDArray[np.float32] = np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors / lengths


def embed(texts: Sequence[str], role: str) -> NDArray[np.float32]:
    return Encoder(Bigrams(), BATCH_TOKENS).embed(texts, role)


def main(command: str) -> None:
    settings = read(EmbedderSettings)
    logging.configure("embedder", settings.log_level)
    if command == "serve":
        uvloop.run(serve(settings, Bigrams(), BATCH_TOKENS))
        return
    app = celery_app(settings)
    counts = ToldCounts()
    encoder = Encoder(Bigrams(), BATCH_TOKENS, counts.add)
    register(app, PoolProcess(settings, app, encoder.model, lambda: encoder, at_once=False))
    work(app, settings, counts, "ai_analysis,maintenance,health", 2, "bigrams@test")


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except SystemExit as refusal:
        raise logging.refused(refusal) from None
