"""Figures that remember all that was counted in them, as totals do."""

from __future__ import annotations

from collections.abc import Mapping

from services.monitor.figures import Figures
from services.monitor.tasks.tasks import TaskState
from services.monitor.totals.counted import Counted, together
from services.monitor.totals.tally import TASKS, Tally, add


class RememberedFigures(Figures):
    def __init__(self) -> None:
        super().__init__()
        self._taken: Tally = {}

    def take_changes(self) -> Counted:
        counted = super().take_changes()
        add(self._taken, together([counted]).added_up())
        return counted

    @property
    def counts(self) -> Tally:
        """All that was counted since the start, by the keys of totals."""
        found = dict(self._taken)
        add(found, together([self.counted]).added_up())
        return found

    @property
    def by_queue(self) -> Mapping[tuple[str, TaskState], float]:
        """How many tasks of each queue came into each state."""
        return {
            (label, TaskState(part)): n for (figure, label, part), n in self.counts.items() if figure == TASKS
        }
