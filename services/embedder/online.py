"""Online calls: embeds the texts of many callers in shared batches, in fair order, from a bounded queue.

Texts wait in the order of start-time fair queueing (Goyal, Vin and Cheng, 1996): the tokens of a call count
against that call, so that one question does not wait behind the five hundred pages of another call. A stream
of new calls would delay those pages for ever, since each call begins with its fair share: so every fourth
batch begins with the text that has waited longest.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import structlog
from numpy.typing import NDArray

from services.embedder.model.encoder import InputType, Model
from services.embedder.model.packing import Tokens, embed_tokens
from services.kernel.errors import Exhausted
from services.kernel.logged_errors import for_log
from services.kernel.loops import UNTIL_WOKEN, Again, Loop

log = structlog.get_logger(__name__)

MOST_TEXTS = 512
FIRST_GUESS_PER_SECOND = 1000.0
# Every so many batches, the first text is the one that has waited longest.
OLDEST_EVERY = 4

# A tag before that of any text.
BEFORE_ALL = -1

# Raises an error for texts that the call must refuse, given their tokens.
Check = Callable[[Sequence[Tokens]], None]


@dataclass(frozen=True)
class Embedding:
    """Unit vectors, float32 [n, 1024], and the tokens of each text."""

    vectors: NDArray[np.float32]
    tokens: Sequence[Tokens]


@dataclass(eq=False)
class _Call:
    """The texts of one call. `waiting`: tokens in the queue; `missing`: vectors not computed yet."""

    tokens: Sequence[Tokens]
    done: asyncio.Future[None]
    vectors: NDArray[np.float32] = field(init=False)
    missing: int = field(init=False)
    waiting: int = field(init=False)

    def __post_init__(self) -> None:
        self.vectors = np.empty((len(self.tokens), 1024), dtype=np.float32)
        self.missing = len(self.tokens)
        self.waiting = sum(map(len, self.tokens))


class OnlineEncoder:
    """The model behind a bounded queue. Calls are answered only while `loop` runs.

    A text that comes while nothing runs is embedded at once, alone. Those that come while a batch runs form
    the next one, so that batches grow with the load by themselves.

    `most_waiting` returns how many tokens may wait now. A call of any size is accepted on an empty queue.
    `count` is called with the number of texts that were embedded, and of their tokens.
    """

    def __init__(
        self,
        model: Model,
        batch_tokens: int,
        most_waiting: Callable[[], int],
        count: Callable[[int, int], None] = lambda texts, tokens: None,
    ) -> None:
        self._count = count
        self._model = model
        self._batch_tokens = batch_tokens
        self._most_waiting = most_waiting
        self._heap: list[tuple[int, int, _Call, int]] = []
        self._numbers = itertools.count()
        self._virtual_time = 0
        self._batches = 0
        self._waiting = 0
        self._arrived = asyncio.Event()
        self._per_second = FIRST_GUESS_PER_SECOND
        # One thread tokenizes while the other runs the model.
        self._reader = ThreadPoolExecutor(1, "tokenizer")
        self._runner = ThreadPoolExecutor(1, "model")
        self.loop = Loop("online", self._embed_next, every=0, woken=self._arrived)

    async def embed(
        self, texts: Sequence[str], input_type: InputType, check: Check | None = None
    ) -> Embedding:
        """Returns the vectors of the texts. A call that is cancelled leaves the queue.

        `check` is called with the tokens before they are queued, and may raise. Raises `Exhausted` if too
        many tokens wait already, and the model's own error if it can't embed one of the texts.
        """
        limit = self._model.facts.max_tokens
        # Until a text is tokenized, it counts with one token for each character.
        reserved = sum(min(limit, len(text) + 16) for text in texts)
        self._admit(reserved)
        self._waiting += reserved
        try:
            loop = asyncio.get_running_loop()
            tokens = await loop.run_in_executor(self._reader, self._model.tokens, texts, input_type)
        finally:
            self._waiting -= reserved
        if check is not None:
            check(tokens)
        call = _Call(tokens, asyncio.get_running_loop().create_future())
        self._enqueue(call)
        try:
            await call.done
        finally:
            self._leave(call)
        return Embedding(call.vectors, tokens)

    @property
    def waiting(self) -> int:
        """The number of tokens that wait for a batch, or are being tokenized (estimated)."""
        return self._waiting

    async def question(self, text: str) -> NDArray[np.float32]:
        """Returns the vector of a question: float32 [1024]."""
        vector: NDArray[np.float32] = (await self.embed([text], InputType.QUERY)).vectors[0]
        return vector

    async def _embed_next(self) -> Again:
        """Embeds the next batch. What fails is told to the caller whose text it was."""
        taken = self._take()
        if taken:
            await self._embed(taken)
        return Again(0) if self._heap else UNTIL_WOKEN

    def _admit(self, arriving: int) -> None:
        most, small = self._most_waiting(), arriving <= self._batch_tokens
        # Large calls may use only half of the room; the other half is reserved for small calls.
        room = most if small else most // 2
        if self._waiting and self._waiting + arriving > room:
            seconds = max(0.1, self._waiting / self._per_second / 2)
            raise Exhausted(f"{self._waiting} tokens wait to be embedded already", round(seconds, 1))

    def _enqueue(self, call: _Call) -> None:
        self._waiting += call.waiting
        tag = self._virtual_time
        # The texts of a call are sorted by length, so that texts in one batch have similar lengths.
        for row in sorted(range(len(call.tokens)), key=lambda row: len(call.tokens[row])):
            heapq.heappush(self._heap, (tag, next(self._numbers), call, row))
            tag += len(call.tokens[row])
        self._arrived.set()

    def _leave(self, call: _Call) -> None:
        """Removes the waiting texts of a call that ended early: they must not take room or memory."""
        if call.waiting:
            self._waiting -= call.waiting
            call.waiting = 0
            self._heap = [item for item in self._heap if item[2] is not call]
            heapq.heapify(self._heap)

    def _take(self) -> list[tuple[_Call, int]]:
        """Takes the next texts from the queue, about a batch of tokens. Drops those of calls that ended."""
        taken: list[tuple[_Call, int]] = []
        total = 0
        self._batches += 1
        if self._heap and self._batches % OLDEST_EVERY == 0:
            self._put_oldest_first()
        while self._heap:
            tag, _, call, row = self._heap[0]
            size = len(call.tokens[row])
            if taken and not call.done.done() and total + size > self._batch_tokens:
                break
            heapq.heappop(self._heap)
            if call.done.done():
                continue
            self._virtual_time = max(self._virtual_time, tag)
            call.waiting -= size
            self._waiting -= size
            total += size
            taken.append((call, row))
        return taken

    def _put_oldest_first(self) -> None:
        oldest = min(range(len(self._heap)), key=lambda place: self._heap[place][1])
        _, number, call, row = self._heap[oldest]
        self._heap[oldest] = (BEFORE_ALL, number, call, row)
        heapq.heapify(self._heap)

    async def _embed(self, taken: Sequence[tuple[_Call, int]]) -> None:
        tokens = [call.tokens[row] for call, row in taken]
        began, loop = time.monotonic(), asyncio.get_running_loop()
        try:
            vectors = await loop.run_in_executor(
                self._runner, embed_tokens, self._model.run, tokens, self._batch_tokens
            )
            if not np.isfinite(vectors).all():
                raise ArithmeticError("the model gave a vector that is not finite")
        except Exception as error:
            await self._embed_apart(taken, error)
            return
        embedded = sum(map(len, tokens))
        self._count(len(tokens), embedded)
        speed = embedded / max(time.monotonic() - began, 1e-6)
        self._per_second = 0.9 * self._per_second + 0.1 * speed
        for (call, row), vector in zip(taken, vectors, strict=True):
            call.vectors[row] = vector
            call.missing -= 1
            if not call.missing and not call.done.done():
                call.done.set_result(None)

    async def _embed_apart(self, taken: Sequence[tuple[_Call, int]], error: Exception) -> None:
        """Embeds the texts one by one, so that only the call with the failing text gets the error."""
        if len(taken) == 1:
            [(call, row)] = taken
            log.error("online.text_failed", row=row, error=for_log(error))
            if not call.done.done():
                call.done.set_exception(error)
            return
        for one in taken:
            if not one[0].done.done():
                await self._embed([one])
