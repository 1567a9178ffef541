"""How often the embedder's loops do their work."""

from __future__ import annotations

from dataclasses import dataclass

from services.kernel import pace


@dataclass(frozen=True)
class Pace(pace.Pace):
    """Seconds between two rounds of the embedder's loops."""

    # Lost chunks of rebuilds are sent again.
    heal: float = 5.0
    # The search index is synchronised with the table.
    follow: float = 2.0


USUAL = Pace()
