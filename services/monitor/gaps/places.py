"""Where tasks are now: on the broker, or with a worker."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from services.monitor.gaps.held import HeldTasks, held_tasks
from services.monitor.gaps.waiting import MOST_MESSAGES, WaitingTasks
from services.monitor.intake.intake import Intake
from services.monitor.workers.control import Control
from services.monitor.workers.workers import WorkerTable

NOT_SETTLED = "it is not known yet which workers there are"
BEHIND = "events that came since are still being taken in"
TOO_MANY_MESSAGES = f"more than {MOST_MESSAGES} messages wait on the broker"


@dataclass(frozen=True)
class Places:
    """Where tasks are now. `lacks`: what is not known of it; empty if all is."""

    waiting: set[str]
    held: HeldTasks
    lacks: str


class TaskPlaces:
    """Finds where tasks are. Raises redis-py's errors, OSError, and `Unavailable`."""

    def __init__(self, waiting: WaitingTasks, control: Control, workers: WorkerTable, intake: Intake) -> None:
        self._waiting = waiting
        self._control = control
        self._workers = workers
        self._intake = intake

    async def find(self, also: Collection[str]) -> Places:
        """Looks in the order in which a task goes: a queue, a message that a worker holds, the worker.

        `also`: queues to look into beside those that are bound.
        """
        waiting, complete = await self._waiting.read(also)
        settled = self._control.settled()
        held = await held_tasks(self._control, list(self._workers.there()))
        lacks = NOT_SETTLED if not settled else "" if self._intake.caught_up else BEHIND
        return Places(waiting, held, lacks or held.silence or ("" if complete else TOO_MANY_MESSAGES))

    async def held_by(self, hostnames: Collection[str]) -> HeldTasks:
        """Asks the workers of these hostnames what they have."""
        return await held_tasks(
            self._control, [worker for worker in self._workers.there() if worker.hostname in hostnames]
        )
