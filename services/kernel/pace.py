"""How often the loops of a process do their work. The values are handed in, so that tests can change them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, TypeVar

Kind = TypeVar("Kind", bound="Pace")


def steady(seconds: float) -> Any:
    """Returns the default of a field that `times` does not change (of type Any, as dataclasses want it).

    Such an interval is a promise to clients, or a fallback for a notification: if tests made it shorter,
    nobody would notice that the notification is lost.
    """
    return dataclasses.field(default=seconds, metadata={"steady": True})


@dataclass(frozen=True)
class Pace:
    """Seconds between two rounds of the kernel's loops. A service adds its own in a subclass."""

    # Between two deletions of rows beyond their retention; a change of the setting starts one at once.
    retention_sweep: float = steady(60.0)
    # Between two deliveries of the audit outbox; an entry of this process starts one at once. So what a look
    # finds is of a replica that died before it delivered.
    outbox_look: float = steady(15.0)
    # The longest pause between two attempts while the audit service does not take entries.
    outbox_retry: float = 30.0
    # Between two looks of a process at itself, of which it tells the monitor what has changed.
    self_report: float = 15.0
    # Between two searches for stuck clients whose transactions others wait for.
    stuck_look: float = steady(5.0)
    # Between two signs of life of an owner of operations; a request to cancel one of them is heard at once.
    operations_look: float = steady(15.0)
    # Between two looks at the revocations of tokens; a new one is heard of at once.
    revocations_look: float = steady(15.0)
    # The longest pause between two attempts while the scheduler does not send the configuration.
    config_retry: float = 2.0

    # How often the holder of a lease renews it, and how long after the last renewal the lease runs out.
    lease_renewal: float = 3.0
    lease: float = 10.0

    def times(self: Kind, factor: float) -> Kind:
        """Returns this pace with all but the steady intervals multiplied: 0.2 is five times as often."""
        hurried = {
            field.name: getattr(self, field.name) * factor
            for field in dataclasses.fields(self)
            if not field.metadata.get("steady")
        }
        return dataclasses.replace(self, **hurried)


USUAL = Pace()
