"""How often the monitor's loops do their work."""

from __future__ import annotations

from dataclasses import dataclass

from services.kernel import pace
from services.kernel.pace import steady


@dataclass(frozen=True)
class Pace(pace.Pace):
    """Seconds between two rounds of the monitor's loops."""

    # Changed tasks are written to the database.
    write: float = 0.2
    # A monitor that does not write looks up to where another has written, and whether that is still there.
    standby_look: float = 1.0
    # Under load, a task that has not ended waits this long to be written: more events of it are likely to
    # come meanwhile, and one write then serves all of them.
    unfinished: float = 0.6
    # The shortest pause between two looks for workers that have fallen silent, which come when one may have.
    workers_look: float = 0.5
    # Every worker is asked for a word; one without heartbeats is silent after three calls without an answer.
    roll_call: float = 15.0
    # Workers are asked for tasks that are shown as started, and may have ended without an event.
    unheard_look: float = 4.0
    # Workers that did not answer yet are told again what was revoked; a listener to workers that start, whose
    # broker was away, tries again.
    revoked_again: float = 1.0
    # The lengths of the queues are read, while somebody wants to see them.
    queues_look: float = 1.0
    # The measures are read, for alerts and charts.
    measure: float = 10.0
    # The health of each component is checked.
    components_look: float = 4.7
    # The same for the other services, each of which tells by a stream, or the end of a connection, when it
    # stops or ends: calls are most of what wakes an idle service.
    peers_look: float = 14.0
    # Tasks and queues are looked through for what hangs, for the health of `tasks`.
    hanging_look: float = steady(30.0)
    # The health of components that have not come since the start is checked, in the first seconds.
    components_awaited: float = 0.25
    # WaitOperation checks whether the operation has ended.
    operation_look: float = 0.25
    # Changed operations are read for WatchOperations; a notification makes it do so at once.
    operations_follow: float = steady(5.0)
    # The pause before operations are read again after the database failed.
    operations_retry: float = 1.0
    # A sign of life is sent to each reader of WatchEvents and WatchOperations that had no news for so long.
    watch_life: float = steady(15.0)
    # A ping is sent on the event connection. It is closed if nothing arrives until the next one is due.
    ping: float = steady(10.0)
    # The relay says that it listens, and drops what has been read.
    relay_keeping: float = 2.0
    # New tasks are looked for, to add them to the search index.
    search_index: float = 2.5
    # Gaps of the events are recorded, looked for, and repaired.
    gaps_look: float = 5.0
    # Another monitor goes on with the repair of one that has said nothing for so long.
    gaps_claim: float = 20.0
    # It is looked for whether collection was stopped or started at another monitor.
    collection_look: float = 4.0
    # It is looked for workers and a scheduler that have not been told of a drain, or of its end.
    halt_look: float = 5.0
    # The same while workers are drained, ended or restarted: whether the next step can be done.
    halt_work: float = 1.0
    # Generations of tasks are closed, and dropped, when they are due.
    generations_look: float = steady(10.0)
    # Operations that retry many tasks are looked for; one that this monitor begins is seen at once.
    retries_look: float = 2.0
    # It is looked for alerts that another monitor wrote, and for what channels are to be told: while
    # something is.
    alerts_follow: float = 5.0
    alerts_deliver: float = 2.0
    # The same while nothing is to be told; what this monitor raises is seen at once.
    alerts_deliver_idle: float = 30.0
    # What else fires or ends within this time is told together. A channel gets a message at most each
    # `alerts_calm` seconds, and one that it does not take again after `alerts_retry`, then ever more seldom.
    alerts_group: float = 10.0
    alerts_calm: float = 30.0
    alerts_retry: float = 30.0
    # A monitor notes up to which event its rows are written.
    place_note: float = 1.0


USUAL = Pace()
