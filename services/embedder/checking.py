"""What `python -m services.embedder check FOLDER` shows: how a model is read, what it costs, how it looks.

It answers what a person asks before pointing CELERIAC_MODEL at a folder: is it read as meant, how long does a
text take, and are the vectors usable. Two kinds of vectors pass every check of shape and are worth little:

- lifted ones: a narrower model, filled up to 1024 numbers with zeros or with copies of its own numbers. They
  are no fault, but search and storage pay for 1024 numbers that say no more than the narrower ones;
- collapsed ones: all texts lie in nearly one direction, as with a graph whose pooling or prefixes are others.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from services.embedder.model.encoder import DIMENSIONS, InputType, Model
from services.embedder.model.files import WrongModel
from services.embedder.model.graph import Engine
from services.embedder.model.onnx_model import OnnxModel
from services.embedder.model.packing import Tokens

# Of different subjects, in both languages: a model that tells meanings apart gives them different vectors.
TEXTS = (
    "怎麼退貨？",
    "今天台北會下雨嗎",
    "請幫我把這段程式改成非同步的寫法",
    "公司的年假可以累積到明年嗎",
    "How do I reset my password?",
    "The recipe needs two eggs, flour and a pinch of salt.",
    "Which trains run from Kaohsiung to Taipei after midnight?",
    "The invoice of March was charged twice to my credit card.",
    "Mitochondria turn sugar into the energy of a cell.",
    "def add(first, second): return first + second",
    "我的訂單三天前就出貨了，為什麼還沒收到？",
    "She plays the violin in the city's orchestra.",
)
LENGTHS = (16, 64, 128, 256, 512, 2048, 8192)
# Tokens of one timed batch, as CELERIAC_BATCH_TOKENS has by default, and how often it is timed.
BATCH_TOKENS = 512
TIMES = 3
# Texts on different subjects have a cosine of about 0.8 with the E5 family, the highest of the known ones.
COLLAPSED = 0.97
# Below it, a vector depends on the batch that it is in: graphs quantised with the scales of each batch do.
SAME = 0.9999
# Numbers of unit vectors that differ by less than this are equal.
EQUAL = 1e-6


@dataclass(frozen=True)
class Shape:
    """How vectors fill their 1024 numbers, over texts of different meaning.

    `filled`: numbers that are not zero in all vectors. `distinct`: those of them that are no copies of
    others. `alike`: the median cosine of two texts. `alone`: the least cosine of a text's vector in a batch
    to that of the same text alone.
    """

    filled: int
    distinct: int
    alike: float
    alone: float

    def warnings(self) -> Iterator[str]:
        """Yields a sentence for each thing that a person should know before using the model."""
        if self.filled < DIMENSIONS:
            yield (
                f"looks lifted: {DIMENSIONS - self.filled} of {DIMENSIONS} numbers are zero in every vector,"
                f" so the model fills {self.filled}; results are right, but storage and search pay for"
                f" {DIMENSIONS}"
            )
        if self.distinct < self.filled:
            yield (
                f"looks lifted: {self.filled - self.distinct} of the {self.filled} numbers that are not zero"
                f" are copies of others, so the vector says no more than {self.distinct} numbers do"
            )
        if self.alike > COLLAPSED:
            yield (
                f"looks collapsed: texts of different meaning have a median cosine of {self.alike:.3f}"
                f" (expected at most {COLLAPSED}); is the pooling right, and are the prefixes?"
            )
        if self.alone < SAME:
            yield (
                f"depends on the batch: a text's vector in a batch has the cosine {self.alone:.4f} to the one"
                f" that it has alone (expected at least {SAME}), as with int8 graphs that scale by batch"
            )


@dataclass(frozen=True)
class Timing:
    """A batch of `texts` texts of `length` tokens each: seconds of CPU and of wall (least of some runs)."""

    length: int
    texts: int
    cpu: float
    wall: float


def shape_of(model: Model, texts: Sequence[str] = TEXTS) -> Shape:
    """Embeds the texts together and each alone, and returns how the vectors look."""
    tokens = model.tokens(texts, InputType.QUERY)
    vectors = model.run(tokens)
    alone = np.concatenate([model.run([text]) for text in tokens])
    used = vectors[:, np.abs(vectors).max(axis=0) > EQUAL]
    cosines = (vectors @ vectors.T)[np.triu_indices(len(vectors), 1)]
    return Shape(
        filled=used.shape[1],
        distinct=np.unique(np.round(used / EQUAL / 10), axis=1).shape[1],
        alike=float(np.median(cosines)),
        alone=float((vectors * alone).sum(axis=1).min()),
    )


def timings(
    model: Model,
    cpu: Callable[[], float] = time.process_time,
    wall: Callable[[], float] = time.perf_counter,
) -> Iterator[Timing]:
    """Yields the cost of a batch at each length that the model reads.

    The texts are of the sample's own tokens in turn, as a graph may take other time for one token repeated.
    """
    ids = np.concatenate([text.ids for text in model.tokens(TEXTS, InputType.QUERY)])
    most = model.facts.max_tokens
    for length in [length for length in LENGTHS if length < most] + [most]:
        batch = _batch(ids, length)
        model.run(batch)
        spent = []
        for _ in range(TIMES):
            began = cpu(), wall()
            model.run(batch)
            spent.append((cpu() - began[0], wall() - began[1]))
        yield Timing(length, len(batch), min(cpu for cpu, _ in spent), min(wall for _, wall in spent))


def _batch(ids: NDArray[np.int64], length: int) -> list[Tokens]:
    texts = max(1, BATCH_TOKENS // length)
    return [Tokens(row) for row in np.resize(ids, (texts, length))]


def report(folder: Path, model: Model) -> Iterator[str]:
    """Yields the lines that are shown of a model."""
    facts, shape = model.facts, shape_of(model)
    prefixes = facts.prefixes
    yield f"folder      {folder.resolve()}"
    yield f"name        {facts.name}"
    yield f"identity    {facts.identity}"
    yield f"engine      {', '.join(facts.providers)}"
    yield f"pooling     {facts.pooling.value}"
    yield f"prefixes    query {prefixes[InputType.QUERY]!r}, passage {prefixes[InputType.PASSAGE]!r}"
    yield f"max tokens  {facts.max_tokens}"
    yield f"dimension   {DIMENSIONS}, of which {shape.filled} are not zero"
    yield f"alike       {shape.alike:.3f}, the median cosine of texts of different meaning"
    yield ""
    yield "tokens a text  texts a batch  CPU ms a text  wall ms a text  tokens a second of CPU"
    for timing in timings(model):
        milliseconds = [1000 * seconds / timing.texts for seconds in (timing.cpu, timing.wall)]
        rate = timing.length * timing.texts / max(timing.cpu, 1e-9)
        yield (
            f"{timing.length:>13}  {timing.texts:>13}  {milliseconds[0]:>13.2f}  {milliseconds[1]:>14.2f}"
            f"  {rate:>22,.0f}"
        )
    yield ""
    warnings = list(shape.warnings())
    yield from (f"warning: {warning}" for warning in warnings)
    if not warnings:
        yield "no warnings"


def check(folder: Path) -> None:
    """Prints the report of the folder, in one thread. Raises SystemExit if it holds no usable model."""
    try:
        model = OnnxModel(folder, Engine())
    # OSError: the folder, or something in it, may not be read, or goes away meanwhile.
    except (WrongModel, OSError) as error:
        raise SystemExit(f"the model in {folder} can't be used: {error}") from None
    for line in report(folder, model):
        print(line, flush=True)
