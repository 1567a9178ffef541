"""Checks the stored end of the log at the start and every few seconds, even if no entries come.

A check that a call has made counts.
"""

from __future__ import annotations

import time

from prometheus_client import CollectorRegistry, Gauge

from services.audit.log import AuditLog
from services.audit.pace import USUAL, Pace
from services.kernel.loops import Again, Loop
from services.kernel.outages import DATABASE_ERRORS


class LogWatch:
    """Keeps checking the log, so that manipulation is noticed before the next entry comes.

    A replica that receives no entries also learns in this way what the other replicas have signed.
    """

    def __init__(self, log: AuditLog, registry: CollectorRegistry, pace: Pace = USUAL) -> None:

        async def check() -> Again | None:
            rest = log.checked_at + pace.check - time.monotonic()
            if rest > 0:
                return Again(rest)
            await log.check()
            return None

        self.loop = Loop(
            "log_check",
            check,
            every=pace.check,
            outlives=DATABASE_ERRORS,
            failed="audit.check_failed",
        )
        stopped = Gauge(
            "celeriac_audit_log_stopped",
            "1 while nothing is appended, since what is stored is not what was signed",
            registry=registry,
        )
        stopped.set_function(lambda: bool(log.faults))
