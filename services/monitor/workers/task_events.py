"""Whether a worker sends events of its tasks, and who is told to send them.

A worker sends them if it was started with -E, or was told to (`enable_events`), until it is told not to. It
does not say which of these it is: that is known from what it sends, against its own count of the tasks that
it ran.
"""

from __future__ import annotations

import enum


class TaskEvents(enum.Enum):
    """Whether a worker sends events of its tasks; celeriac.monitor.v1.TaskEvents has the meaning of each."""

    UNKNOWN = "unknown"
    ON = "on"
    OFF = "off"


class TaskEventsHeard:
    """What is known of one worker's task events.

    Events are collected by the worker for a moment, so those of the tasks in one count may come after it.
    So they are off only if a whole further count has come without any event.
    """

    __slots__ = ("_counted", "_grew", "ever", "fresh", "state", "told")

    def __init__(self) -> None:
        self.state = TaskEvents.UNKNOWN
        # Whether this process has ever sent one, and whether it was told to send them.
        self.ever = self.told = False
        # Whether an event has come since the newest count: then a further one tells nothing new.
        self.fresh = False
        # The first count since the newest event, and whether a later one was higher.
        self._counted: int | None = None
        self._grew = False

    def event(self) -> None:
        self.state = TaskEvents.ON
        self.ever = self.fresh = True
        self._counted, self._grew = None, False

    def count(self, processed: int) -> None:
        """Takes in how many tasks the worker has run by now, by its own count."""
        self.fresh = False
        if self._counted is None or processed < self._counted:
            self._counted, self._grew = processed, False
        elif self._grew:
            self.state = TaskEvents.OFF
        elif processed > self._counted:
            self._grew = True

    def count_anew(self) -> None:
        """Takes in that events are missed on purpose: that none comes says nothing."""
        self._counted, self._grew = None, False

    def was_told(self) -> None:
        """Takes in that the worker was told to send them: what it did before says nothing any more."""
        self.told, self.fresh, self.state = True, False, TaskEvents.UNKNOWN
        self._counted, self._grew = None, False

    @property
    def to_be_told(self) -> bool:
        """Whether it should be told. One that did send them was switched off by somebody, on purpose."""
        return not self.ever and not self.told

    @property
    def switched_off(self) -> bool:
        return self.ever and self.state is not TaskEvents.ON
