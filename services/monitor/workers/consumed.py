"""Which queues a worker consumes, by its own word, and what that tells of the tasks that it receives.

No event of a worker names the queue of a task. Where the client that sent it does not tell it either, it is
known all the same if the worker has one queue only. A worker can be told to consume another (`add_consumer`),
which is seen at the next roll call: what was taken for the queue of a task since the last one is then no
longer known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from services.monitor.tasks.names import cut

# Of a worker with more queues than this not all are shown.
MOST_QUEUES = 100


class Consumed:
    """`queues`: None as long as the worker has not told them.

    It has told the same since `since`, and last at `told_at`, by this machine's monotonic clock.
    """

    __slots__ = ("queues", "since", "told_at")

    def __init__(self) -> None:
        self.queues: frozenset[str] | None = None
        self.since = self.told_at = 0.0

    def told(self, queues: frozenset[str] | None, asked_at: float) -> float | None:
        """Takes in an answer to what was asked then; None: it is not known whose answer was whose.

        Returns since when it is not sure which queues were consumed, if that has just become so.
        """
        before, sure_until = self.queues, self.told_at
        if queues != before:
            self.queues, self.since = queues, asked_at
        self.told_at = asked_at
        return sure_until if before is not None and queues != before else None

    def at(self, moment: float) -> frozenset[str] | None:
        """Returns the queues, if they are known for an event that came at that moment."""
        return self.queues if moment >= self.since else None


def queues_in(said: Sequence[Any]) -> frozenset[str] | None:
    """Returns the queues in the answers of a hostname to `active_queues`; None unless there is one answer."""
    if len(said) != 1 or not isinstance(said[0], list):
        return None
    named = [each.get("name") for each in said[0] if isinstance(each, Mapping)]
    return frozenset(cut(name) for name in named if isinstance(name, str) and name)
