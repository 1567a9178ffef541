"""The keys under which a Celery application keeps its queues in Redis or Valkey.

They follow from its `broker_transport_options`, as in kombu's Redis transport (kombu/transport/redis.py,
virtual/base.py).
"""

from __future__ import annotations

import bisect
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, Field

from services.kernel.settings import KernelSettings

# Keys in which kombu keeps the messages that workers hold, their times, and the lock of their redelivery.
BOOKS = frozenset({"unacked", "unacked_index", "unacked_mutex"})


def not_a_queue(name: str) -> str:
    """Returns what this is the name of, if a queue can't have it; else an empty text.

    A message on such a key, or a worker that consumes it, does harm: a list in place of the lock ends the
    redelivery of all unacknowledged messages, and who reads a worker's mailbox takes its commands.
    """
    if name in BOOKS or name.startswith("_kombu."):
        return "kombu's own books"
    if name.endswith(".pidbox"):
        return "a mailbox of Celery's remote control"
    if name == "celeryev" or name.startswith("celeryev."):
        return "an address of Celery's events"
    if name.startswith("celeriac:"):
        return "Celeriac's own books"
    _, separator, step = name.rpartition(Layout.separator)
    return "the messages of one priority of another queue" if separator and step.isdecimal() else ""


@dataclass(frozen=True)
class Layout:
    """The application's `global_keyprefix` (`prefix`), `priority_steps` (`steps`) and `sep` (`separator`)."""

    prefix: str = ""
    steps: tuple[int, ...] = (0, 3, 6, 9)
    separator: str = "\x06\x16"

    def keys_of(self, queue: str) -> list[str]:
        """Returns the keys of the queue's lists, one for each priority step."""
        return [self._key(queue, step) for step in self.steps]

    def key_of(self, queue: str, priority: int) -> str:
        """Returns the key of the list that holds the queue's messages of this priority."""
        return self._key(queue, self.steps[bisect.bisect(self.steps, priority) - 1])

    def binding_of(self, queue: str) -> tuple[str, str]:
        """Returns the key of the set in which kombu looks up the queue, and the queue's entry in that set."""
        return f"{self.prefix}_kombu.binding.{queue}", self.separator.join((queue, "", queue))

    def _key(self, queue: str, step: int) -> str:
        return self.prefix + (f"{queue}{self.separator}{step}" if step else queue)


def _steps(text: str) -> str:
    steps = [part.strip() for part in text.split(",")]
    if not all(step.isdecimal() for step in steps) or len(steps) > 100:
        raise ValueError(f"{text!r} is not a list of priorities")
    if sorted(set(map(int, steps))) != list(map(int, steps)) or int(steps[0]) != 0:
        raise ValueError(f"{text!r} must rise, and begin with 0")
    return text


class LayoutSettings(KernelSettings):
    """Settings of a service that reads or writes the application's queues itself."""

    key_prefix: str = Field("", validation_alias="CELERIAC_BROKER_KEY_PREFIX", examples=["myapp:"])
    priority_steps: Annotated[str, AfterValidator(_steps)] = Field(
        "0,3,6,9", validation_alias="CELERIAC_BROKER_PRIORITY_STEPS", examples=["0,3,6,9"]
    )
    priority_separator: str = Field(
        "\x06\x16", min_length=1, validation_alias="CELERIAC_BROKER_PRIORITY_SEPARATOR", examples=[":"]
    )

    @property
    def layout(self) -> Layout:
        steps = tuple(map(int, self.priority_steps.split(",")))
        return Layout(self.key_prefix, steps, self.priority_separator)
