"""Measures of what is wrong: gaps of the events, tasks that hang, the broker's policy, unwell components."""

from __future__ import annotations

from collections.abc import Mapping

import redis.asyncio

from services.kernel.database import Database
from services.monitor.gaps.store_gaps import GapStore
from services.monitor.measuring.measures import Values, whole
from services.monitor.system.checks import policy_that_drops
from services.monitor.system.components import Components
from services.monitor.system.hanging import HangingLook


class HealthMeasures:
    """Each method is a source of its own, so that the database's fault hides nothing of the broker."""

    def __init__(
        self, database: Database, client: redis.asyncio.Redis, components: Components, hanging: HangingLook
    ) -> None:
        self._database = database
        self._client = client
        self._components = components
        self._hanging = hanging

    async def gaps(self) -> Mapping[str, Values]:
        async with self._database.connection() as connection:
            return {"gaps_open": whole(await GapStore(connection).count_open())}

    async def broker(self) -> Mapping[str, Values]:
        info = await self._client.info("memory")
        return {"broker_can_drop_tasks": whole(float(policy_that_drops(info) is not None))}

    async def components(self) -> Mapping[str, Values]:
        """Those that have been looked at; with what hangs, which the component `tasks` looks for."""
        known = [each for each in self._components.all() if each.checked_at is not None]
        found: dict[str, Values] = {
            "component_unwell": {each.name: each.health - 1 for each in known},
            "component_latency_seconds": {
                each.name: each.latency for each in known if each.latency is not None
            },
        }
        if (late := self._hanging.late) is not None:
            found["runs_unheard"] = whole(late.runs)
            found["etas_long_past"] = whole(late.etas)
        return found
