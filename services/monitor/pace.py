"""How often the monitor's loops do their work."""

from __future__ import annotations

from dataclasses import dataclass

from services.kernel import pace
from services.kernel.pace import steady


@dataclass(frozen=True)
class Pace(pace.Pace):
    """Seconds between two rounds of the monitor's loops."""

    # News of tasks is written.
    write: float = 0.2
    # A task that has not ended soon has more news: under load it waits so long, to be written once.
    unfinished: float = 0.6
    # Whether workers are still heard of.
    workers_look: float = 0.5
    # The lengths of the queues are read.
    queues_look: float = 1.0
    # Each component is asked how it is.
    components_look: float = 2.0
    # A connection on which nothing came for so long, not even a pong, is given up.
    ping: float = steady(10.0)


USUAL = Pace()
