"""Looks at the stored end of the log at the start and every few seconds, also while nobody appends."""

from __future__ import annotations

import asyncio

import structlog
from prometheus_client import CollectorRegistry, Gauge

from services.audit.log import AuditLog
from services.kernel.database import DATABASE_ERRORS
from services.kernel.logged_errors import for_log
from services.kernel.sessions import SESSION_ERRORS

logger = structlog.get_logger(__name__)

CHECK_SECONDS = 5.0


class LogWatch:
    """Keeps checking the log, so that it is known to be stopped before the next entry comes.

    A replica that takes no entries for a while so also keeps up with what the others sign.
    """

    def __init__(self, log: AuditLog, registry: CollectorRegistry, seconds: float = CHECK_SECONDS) -> None:
        self._log = log
        self._seconds = seconds
        stopped = Gauge(
            "celeriac_audit_log_stopped",
            "1 while nothing is appended, since what is stored is not what was signed",
            registry=registry,
        )
        stopped.set_function(lambda: bool(log.faults))

    async def run(self) -> None:
        """A background loop: outlives a database that is away or not yet migrated."""
        while True:
            try:
                await self._log.check()
            except (*DATABASE_ERRORS, *SESSION_ERRORS) as error:
                logger.warning("audit.check_failed", error=for_log(error))
            await asyncio.sleep(self._seconds)
