"""How often the scheduler's loops do their work."""

from __future__ import annotations

from dataclasses import dataclass

from services.kernel import pace
from services.kernel.pace import steady


@dataclass(frozen=True)
class Pace(pace.Pace):
    """Seconds between two rounds of the scheduler's loops."""

    # The dispatcher sleeps to the next due time or a notice; this guards against what nobody thought of.
    dispatch_look: float = steady(5.0)
    # Batches that were recorded and not published are published.
    heal: float = 3.0
    # A broker that is away is asked again; meanwhile due times are only recorded.
    broker_retry: float = 1.0
    # A schedule that our own code failed on is tried again.
    left_out: float = 60.0
    # Runs that stay pending are told to whoever watches.
    pending_look: float = 2.0

    # Open runs that come to an age are asked about: while there are some, and while there are none.
    outcomes_look: float = 1.0
    outcomes_idle: float = 4.0
    # All open runs are asked about anew after a gap in the monitor's stream, once in this at most.
    outcomes_again: float = 10.0
    # While the monitor or the database is away: at first, and at most.
    outcomes_retry: float = 0.5
    outcomes_longest_retry: float = 10.0
    # While runs wait for others to end, the monitor is asked. While none does, the table is looked at for
    # what a replica that died left behind; whoever lets a run wait wakes its own replica.
    waiting_look: float = 1.0
    waiting_idle: float = steady(5.0)
    # A task that goes on after it was told to terminate is told again.
    cancel_again: float = 10.0
    # The broker is looked at: whether it lost its data.
    losses_look: float = 5.0
    # As for runs that wait: while a backfill is running, and while none is.
    backfills_look: float = 1.0
    backfills_idle: float = steady(5.0)

    # A replica that holds a lease renews it; it runs out so long after the last renewal.
    lease_renewal: float = 3.0
    lease: float = 10.0

    # Whoever follows the configuration is given a sign of life; this is a look at the table, too.
    config_life: float = steady(10.0)
    config_read_again: float = 1.0
    # Whoever watches schedules is given a sign of life.
    watch_life: float = steady(15.0)
    # A look at the log of changes also without a notice; and idle readers' cursors stay fresh.
    watch_look: float = steady(5.0)
    watch_retry: float = 1.0
    # A full collection takes some 5 ms, as what was imported is not looked through (process.main freezes it).
    garbage: float = steady(10.0)


USUAL = Pace()
