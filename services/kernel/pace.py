"""How often the loops of a process do their work: values that are handed in, read nowhere else."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, TypeVar

Kind = TypeVar("Kind", bound="Pace")


def steady(seconds: float) -> Any:
    """The default of a field that `times` leaves as it is. Any: a dataclass takes its fields so.

    It is a promise to clients, or a guard behind a notice: if tests hurried it, nobody would see that the
    notice was lost.
    """
    return dataclasses.field(default=seconds, metadata={"steady": True})


@dataclass(frozen=True)
class Pace:
    """Seconds between two rounds of the kernel's loops. A service adds those of its own in a subclass."""

    # Rows that are older than they may be are deleted; also as soon as the setting changes.
    retention_sweep: float = steady(60.0)
    # The audit outbox is delivered; also as soon as an entry is there.
    outbox_look: float = steady(5.0)
    # At most, while the audit service does not take entries.
    outbox_retry: float = 30.0
    # Transactions whose client is stuck, and that others wait for, are looked for.
    stuck_look: float = steady(5.0)
    # At most, while the scheduler does not tell of the configuration.
    config_retry: float = 2.0

    def times(self: Kind, factor: float) -> Kind:
        """This pace with its intervals multiplied, but for the steady ones: 0.2 is five times as often."""
        hurried = {
            field.name: getattr(self, field.name) * factor
            for field in dataclasses.fields(self)
            if not field.metadata.get("steady")
        }
        return dataclasses.replace(self, **hurried)


USUAL = Pace()
