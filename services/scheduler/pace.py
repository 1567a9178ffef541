"""How often the scheduler's loops do their work."""

from __future__ import annotations

from dataclasses import dataclass

from services.kernel import pace
from services.kernel.pace import steady


@dataclass(frozen=True)
class Pace(pace.Pace):
    """Seconds between two rounds of the scheduler's loops."""

    # The dispatcher sleeps until the next due time or a notice, and never longer than this: a safeguard.
    dispatch_look: float = steady(5.0)
    # How often batches that were recorded but not published are looked for, and then published.
    heal: float = 3.0
    # How long an unreachable broker is left alone. Meanwhile due times are recorded, not published.
    broker_retry: float = 1.0
    # A schedule that our own code failed on is tried again.
    left_out: float = 60.0
    # How often runs that stay pending are looked for; they are logged for the readers of WatchSchedules.
    pending_look: float = 2.0

    # How often the monitor is asked about open runs: while some are due to be asked about, and while none is.
    outcomes_look: float = 1.0
    outcomes_idle: float = 4.0
    # After a gap in the monitor's stream all open runs are asked about again, at most once in this time.
    outcomes_again: float = 10.0
    # The wait before the next attempt while the monitor or the database is away: the first, and the longest.
    outcomes_retry: float = 0.5
    outcomes_longest_retry: float = 10.0
    # How often waiting runs are decided on; and how often the table is read while none waits, for runs that a
    # dead replica left behind. A run that begins to wait wakes the loop of its replica.
    waiting_look: float = 1.0
    waiting_idle: float = steady(5.0)
    # How long after a task was told to terminate it is told again, if it is still going.
    cancel_again: float = 10.0
    # How often it is checked whether the broker has lost its data.
    losses_look: float = 5.0
    # How often backfills are looked at: while one is running, and while none is.
    backfills_look: float = 1.0
    backfills_idle: float = steady(5.0)

    # How often readers of the configuration get a sign of life; the table is read then, too.
    config_life: float = steady(15.0)
    # The wait before the scheduler reads its own settings again after a database error.
    config_read_again: float = 1.0
    # How often readers of WatchSchedules get a sign of life.
    watch_life: float = steady(15.0)
    # How often the log of changes is read without a notice. It also keeps the cursors of idle readers fresh.
    watch_look: float = steady(5.0)
    # The wait before the log of changes is read again after a database error.
    watch_retry: float = 1.0
    # How often all garbage is collected. It takes some 5 ms, as process.main freezes what was imported.
    garbage: float = steady(10.0)
    # How often it is collected while hardly any objects are made.
    idle_garbage: float = steady(60.0)


USUAL = Pace()
