"""How often the audit service's loops do their work."""

from __future__ import annotations

from dataclasses import dataclass

from services.kernel import pace


@dataclass(frozen=True)
class Pace(pace.Pace):
    """Seconds between two rounds of the audit service's loops."""

    # The stored end of the log is checked, also while nobody appends.
    check: float = 5.0


USUAL = Pace()
