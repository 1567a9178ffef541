"""How often the door's loops do their work."""

from __future__ import annotations

from dataclasses import dataclass

from services.kernel import pace


@dataclass(frozen=True)
class Pace(pace.Pace):
    """Seconds between two rounds of the door's loops: so far those of the kernel alone."""


USUAL = Pace()
