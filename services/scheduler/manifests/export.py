"""Exports stored schedules as a manifest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import aclosing

from services.kernel.database import Database
from services.kernel.errors import CeleriacError, FailedPrecondition
from services.scheduler.catalogue.store_listing import ScheduleFilter
from services.scheduler.catalogue.store_schedules import ScheduleStore
from services.scheduler.dispatch.turns import Turns
from services.scheduler.manifests.read import MOST_SCHEDULES
from services.scheduler.manifests.text import MOST_BYTES, size_of
from services.scheduler.manifests.text_in_steps import Writer, writer
from services.scheduler.manifests.write import entry_of
from services.scheduler.schedule.rows import Row, check_readable, schedule_of


class Exports:
    """Writes manifests of stored schedules."""

    def __init__(self, database: Database, turns: Turns) -> None:
        self._database = database
        self._turns = turns

    async def export(self, wanted: ScheduleFilter, *, as_json: bool) -> tuple[str, int]:
        """Returns the schedules as a manifest, and their number.

        Raises `FailedPrecondition` if they are too many, or if one of them can't be read.
        """
        text, count = writer(as_json=as_json), 0
        async with (
            self._turns.long(),
            self._database.reading() as connection,
            aclosing(ScheduleStore(connection).listed(wanted, "", MOST_SCHEDULES + 1)) as parts,
        ):
            async for rows in parts:
                count += len(rows)
                if count > MOST_SCHEDULES:
                    raise _too_many(f"there are more than {MOST_SCHEDULES} schedules")
                await self._turns.run(_written(rows, text))
        manifest = text.end()
        if size_of(manifest) > MOST_BYTES:
            raise _too_large()
        return manifest, count


def _written(rows: Sequence[Row], text: Writer) -> Iterator[None]:
    for row in rows:
        schedule = schedule_of(row)
        # It must not be left out: applying the manifest with pruning would then remove it.
        check_readable(schedule, *schedule.faults)
        yield from text.add(entry_of(schedule.definition))
        if text.size > MOST_BYTES:
            raise _too_large()


def _too_large() -> CeleriacError:
    return _too_many(f"the manifest would have more than {MOST_BYTES} bytes")


def _too_many(fault: str) -> CeleriacError:
    return FailedPrecondition("TOO_MANY_SCHEDULES", f"{fault}; export them by labels, task_names or queues")
