"""Online calls: in shared batches, in fair turns, never more than fit."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import numpy as np
import pytest
from numpy.typing import NDArray

from services.embedder.model.encoder import InputType
from services.embedder.model.packing import Tokens
from services.embedder.online import OnlineEncoder
from services.kernel.errors import Exhausted
from tests.support.bigram_embedder import Bigrams, embed

QUERY = InputType.QUERY


class Gated(Bigrams):
    """Runs a batch when it is let, and remembers which texts shared one."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.started = threading.Event()
        self.batches: list[list[str]] = []

    def run(self, batch: Sequence[Tokens]) -> NDArray[np.float32]:
        self.batches.append(["".join(map(chr, text.ids)) for text in batch])
        self.started.set()
        assert self.open.wait(20)
        return super().run(batch)


class Stepped(Bigrams):
    """Runs one batch at each step."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self._steps = threading.Semaphore(0)
        self._began = threading.Semaphore(0)

    @property
    def taken(self) -> int:
        """The tokens of all batches so far: one for each character."""
        return sum(len(text) for batch in self.batches for text in batch)

    def run(self, batch: Sequence[Tokens]) -> NDArray[np.float32]:
        self.batches.append(["".join(map(chr, text.ids)) for text in batch])
        self._began.release()
        assert self._steps.acquire(timeout=20)
        return super().run(batch)

    async def step(self) -> None:
        """Returns once the next batch has been taken."""
        assert await asyncio.to_thread(self._began.acquire, timeout=20)
        self._steps.release()

    def go_on(self) -> None:
        self._steps.release(1000)


@asynccontextmanager
async def running(
    model: Bigrams, batch_tokens: int = 64, most_waiting: int = 1_000_000
) -> AsyncIterator[OnlineEncoder]:
    online = OnlineEncoder(model, batch_tokens, lambda: most_waiting)
    loop = asyncio.create_task(online.loop.run())
    try:
        yield online
    finally:
        loop.cancel()


async def waits(online: OnlineEncoder, tokens: int) -> None:
    """Until so many tokens stand in the queue."""
    async with asyncio.timeout(20):
        while online.waiting != tokens:  # noqa: ASYNC110  what is tested has no event for tests
            await asyncio.sleep(0)


@pytest.fixture
async def gated() -> AsyncIterator[Gated]:
    model = Gated()
    yield model
    model.open.set()


async def test_a_caller_alone_does_not_wait_for_company(
    gated: Gated, monkeypatch: pytest.MonkeyPatch
) -> None:
    gated.open.set()
    slept: list[float] = []

    async def sleep(seconds: float, result: object = None) -> None:
        slept.append(seconds)

    async with running(gated) as online:
        monkeypatch.setattr(asyncio, "sleep", sleep)
        await online.embed(["why?"], QUERY)
        monkeypatch.undo()
    assert gated.batches == [["why?"]]
    assert not any(slept)


async def test_what_comes_while_a_batch_runs_goes_with_the_next_and_each_gets_its_own(gated: Gated) -> None:
    async with running(gated) as online:
        texts = [[f"question {n}"] for n in range(4)]
        calls = [asyncio.create_task(online.embed(texts[0], QUERY))]
        await asyncio.to_thread(gated.started.wait, 20)
        calls += [asyncio.create_task(online.embed(text, QUERY)) for text in texts[1:]]
        await waits(online, 3 * len(texts[1][0]))
        gated.open.set()
        found = await asyncio.gather(*calls)
    assert gated.batches == [texts[0], [text for (text,) in texts[1:]]]
    for text, embedding in zip(texts, found, strict=True):
        assert np.allclose(embedding.vectors, embed(text, "user"))


async def test_a_question_does_not_wait_behind_another_callers_many_texts(gated: Gated) -> None:
    async with running(gated) as online:
        many = asyncio.create_task(online.embed([f"{n:060d}" for n in range(50)], QUERY))
        await asyncio.to_thread(gated.started.wait, 20)
        one = asyncio.create_task(online.embed(["why?"], QUERY))
        await waits(online, 49 * 60 + 4)
        gated.open.set()
        await one
        assert not many.done()
        assert (await many).vectors.shape == (50, 1024)


async def test_many_texts_are_not_put_off_for_ever_by_a_stream_of_questions() -> None:
    model = Stepped()
    async with running(model) as online:
        many = [f"{number:060d}" for number in range(20)]
        calls = [asyncio.create_task(online.embed(many, QUERY))]
        sent = 20 * 60
        # Before each batch there is one more question, so that at each moment some wait.
        for number in range(60):
            calls.append(asyncio.create_task(online.embed([f"why {number:050d}"], QUERY)))
            sent += 54
            async with asyncio.timeout(20):
                while online.waiting != sent - model.taken:  # noqa: ASYNC110  as in `waits`
                    await asyncio.sleep(0)
            await model.step()
        first_rounds = [text for batch in model.batches[:60] for text in batch]
        model.go_on()
        await asyncio.gather(*calls)
    assert len([text for text in first_rounds if text in many]) >= 10


async def test_more_than_fits_is_told_to_come_back_while_small_calls_have_room_left(gated: Gated) -> None:
    async with running(gated, most_waiting=600) as online:
        first = asyncio.create_task(online.embed(["x" * 60], QUERY))
        await asyncio.to_thread(gated.started.wait, 20)
        waiting = asyncio.create_task(online.embed([f"{n}" * 50 for n in range(4)], QUERY))
        await waits(online, 200)
        with pytest.raises(Exhausted) as refused:
            await online.embed(["y" * 200], QUERY)
        assert refused.value.retry_after > 0
        small = asyncio.create_task(online.embed(["why?"], QUERY))
        await waits(online, 204)
        gated.open.set()
        await asyncio.gather(first, waiting, small)
        assert (await online.embed(["y" * 200], QUERY)).vectors.shape == (1, 1024)


async def test_how_much_may_wait_is_asked_anew_for_each_call(gated: Gated) -> None:
    most = 1_000
    online = OnlineEncoder(gated, 64, lambda: most)
    running = asyncio.create_task(online.loop.run())
    first = asyncio.create_task(online.embed(["x" * 60], QUERY))
    await asyncio.to_thread(gated.started.wait, 20)
    waiting = [asyncio.create_task(online.embed(["y" * 200], QUERY))]
    await waits(online, 200)
    most = 300
    with pytest.raises(Exhausted):
        await online.embed(["y" * 200], QUERY)
    most = 1_000
    waiting.append(asyncio.create_task(online.embed(["y" * 200], QUERY)))
    await waits(online, 400)
    gated.open.set()
    await asyncio.gather(first, *waiting)
    running.cancel()


async def test_a_caller_that_gives_up_leaves_the_queue(gated: Gated) -> None:
    async with running(gated, most_waiting=600) as online:
        first = asyncio.create_task(online.embed(["x" * 60], QUERY))
        await asyncio.to_thread(gated.started.wait, 20)
        gone = asyncio.create_task(online.embed([f"gone {n:050d}" for n in range(4)], QUERY))
        await waits(online, 4 * 55)
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        second = asyncio.create_task(online.embed(["y" * 200], QUERY))
        await waits(online, 200)
        gated.open.set()
        await asyncio.gather(first, second)
    assert not [text for batch in gated.batches for text in batch if text.startswith("gone")]


async def test_only_the_caller_of_a_text_that_fails_hears_of_it(gated: Gated) -> None:
    async with running(gated) as online:
        first = asyncio.create_task(online.embed(["x"], QUERY))
        await asyncio.to_thread(gated.started.wait, 20)
        bad = asyncio.create_task(online.embed(["poison", "beside it"], QUERY))
        good = asyncio.create_task(online.embed(["good"], QUERY))
        await waits(online, 6 + 9 + 4)
        gated.open.set()
        with pytest.raises(ValueError, match="can't be embedded"):
            await bad
        assert np.allclose((await good).vectors, embed(["good"], "user"))
        await first


async def test_what_is_refused_by_its_tokens_takes_no_room(gated: Gated) -> None:
    def refuse(tokens: Sequence[Tokens]) -> None:
        if any(text.truncated for text in tokens):
            raise ValueError("too long")

    gated.open.set()
    async with running(gated, most_waiting=1200) as online:
        for _ in range(3):
            with pytest.raises(ValueError, match="too long"):
                await online.embed(["z" * 600], QUERY, refuse)
        assert (await online.embed(["fits"], QUERY, refuse)).vectors.shape == (1, 1024)
