"""The command `serve`: builds the door, and runs it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.door.app import Door
from services.door.https import listening
from services.door.observe import Metrics
from services.door.pace import Pace
from services.door.settings import DoorSettings
from services.kernel import process
from services.kernel.metrics import new_registry
from services.kernel.opened_database import opened_database
from services.kernel.revocations import Revocations


async def serve(settings: DoorSettings) -> None:
    pace = Pace().times(settings.pace)
    async with opened_database(settings, "door") as database:
        registry = new_registry()
        revocations = Revocations(database, pace)
        door = Door(Metrics(registry))
        # Before the first request: nobody who is shut out may find a moment in which that is not known.
        await revocations.read()
        await process.run_alone(
            settings,
            registry,
            background=[revocations],
            checks={"database": database.check},
            serving=_serving(door, settings),
        )


@asynccontextmanager
async def _serving(door: Door, settings: DoorSettings) -> AsyncIterator[None]:
    """Serves until it is left: then it says so to the gateway, waits until that has heard, and stops."""
    async with listening(door.application, settings):
        door.serves = True
        yield
        door.serves = False
        await asyncio.sleep(settings.drain)
