"""All metrics of the monitor, put together for each scrape.

A scrape comes in a thread of its own, and is answered on the event loop, where all figures are. It waits for
nothing but the totals, and for these a moment: what a broker or a database has to be asked for was read
before, with the measures.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from services.monitor.exposing.families import Part
from services.monitor.totals.totals import Totals

# The longest that the event loop may take.
ANSWER_SECONDS = 5.0
# So long a scrape waits for the newest totals; then it tells those that were read before.
PATIENCE_SECONDS = 0.1


class MonitorMetrics:
    """Construct it on the event loop that writes the figures."""

    def __init__(self, totals: Totals, parts: Sequence[Part]) -> None:
        self._totals = totals
        self._parts = parts
        self._loop = asyncio.get_running_loop()
        self._refreshing: asyncio.Task[None] | None = None

    def text(self, *, as_openmetrics: bool) -> str:
        telling = asyncio.run_coroutine_threadsafe(self._text(as_openmetrics), self._loop)
        return telling.result(ANSWER_SECONDS)

    async def _text(self, as_openmetrics: bool) -> str:
        await self._refresh()
        return "".join(
            family.text(samples, as_openmetrics=as_openmetrics)  # type: ignore[arg-type]  # as `Told` pairs them
            for part in self._parts
            for family, samples in part.told()
        )

    async def _refresh(self) -> None:
        """Waits a moment for the newest totals; not if those of the scrape before have not come yet."""
        if self._refreshing is None or self._refreshing.done():
            self._refreshing = asyncio.create_task(self._totals.refresh())
            await asyncio.wait({self._refreshing}, timeout=PATIENCE_SECONDS)
