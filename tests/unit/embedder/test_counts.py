"""Texts and tokens of all processes of a worker's pool are counted in its main process."""

from __future__ import annotations

import asyncio
import os

from prometheus_client import CollectorRegistry

from services.embedder.counts import EmbeddedCounts, ToldCounts

TOLD = 200


def forked(told: ToldCounts) -> int:
    """A process that embeds, as one of the pool does; returns its id."""
    child = os.fork()
    if not child:
        for _ in range(TOLD):
            told.add(2, 30)
        os._exit(0)
    return child


async def test_what_forked_processes_embed_is_counted_in_the_one_that_forked_them() -> None:
    told, registry = ToldCounts(), CollectorRegistry()
    children = [forked(told) for _ in range(3)]
    told.count_into(EmbeddedCounts(registry, "bulk"))
    for child in children:
        assert (await asyncio.to_thread(os.waitpid, child, 0))[1] == 0

    def counted(name: str) -> float | None:
        return registry.get_sample_value(name, {"path": "bulk"})

    async with asyncio.timeout(30):
        while counted("celeriac_embedder_texts_total") != 3 * TOLD * 2:  # noqa: ASYNC110 # a counter has none
            await asyncio.sleep(0.01)
    assert counted("celeriac_embedder_tokens_total") == 3 * TOLD * 30


def test_where_nobody_reads_counting_holds_nobody_up() -> None:
    told = ToldCounts()
    for _ in range(20_000):
        told.add(1, 1)
