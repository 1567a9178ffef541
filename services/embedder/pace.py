"""How often the embedder's loops do their work."""

from __future__ import annotations

from dataclasses import dataclass

from services.kernel import pace
from services.kernel.pace import steady


@dataclass(frozen=True)
class Pace(pace.Pace):
    """Seconds between two rounds of the embedder's loops."""

    # Lost chunks of rebuilds are sent again.
    heal: float = 5.0
    # The search index looks for what was written, though nothing was told.
    follow: float = steady(60.0)
    # Between two of its looks while writes are told one after another.
    gather: float = 0.25
    # Between two comparisons of all its numbers with the table's, and the same when a deletion was told.
    compare: float = steady(600.0)
    after_deletion: float = 15.0
    # It looks whether it is to be built anew. Removed vectors, which are not found, stay for about `forget`.
    build: float = steady(60.0)
    forget: float = 3600.0
    # New questions are assigned to groups.
    assign: float = 10.0
    # An analysis that no worker has is sent again.
    heal_analyses: float = 60.0


USUAL = Pace()
