"""How often the embedder's loops do their work."""

from __future__ import annotations

from dataclasses import dataclass

from services.kernel import pace


@dataclass(frozen=True)
class Pace(pace.Pace):
    """Seconds between two rounds of the embedder's loops."""

    # Chunks of a rebuild that were lost are sent again.
    heal: float = 5.0
    # The index is brought to the table's state.
    follow: float = 2.0
    # Whoever waits for an operation: it is looked whether it has ended.
    operation_look: float = 0.25


USUAL = Pace()
