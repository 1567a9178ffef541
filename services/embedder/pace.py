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
    # New questions are assigned to groups.
    assign: float = 10.0
    # An analysis that no worker has is sent again.
    heal_analyses: float = 60.0


USUAL = Pace()
