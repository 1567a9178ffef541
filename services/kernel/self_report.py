"""What a process tells of itself in a table, so that the monitor can look after it.

    measure       value                                                 subject
    loop          since when a loop has only failed, seconds since 1970 the loop
    outbox        when the oldest audit entry was made that waits       -
    certificate   when the certificate of the process expires           -
    refusals      callers refused in the last five minutes              -

A process that is well has little to tell, and writes it once: the table is written when something changes,
and as a sign of life each `REFRESH_SECONDS`. What a process told that is gone is left out after
`STALE_SECONDS`.
"""

from __future__ import annotations

import time
import uuid
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from services.kernel.certificates import Certificates
from services.kernel.database import Database
from services.kernel.loops import Heartbeat, Loop
from services.kernel.outages import DATABASE_ERRORS
from services.kernel.outbox import Outbox
from services.kernel.pace import USUAL, Pace

LOOP, OUTBOX, CERTIFICATE, REFUSALS = "loop", "outbox", "certificate", "refusals"
OUTBOX_LOOP = "audit_outbox"
WINDOW_SECONDS = 300.0
REFRESH_SECONDS, STALE_SECONDS = 300.0, 720.0
TELL = """
    INSERT INTO celeriac_self_reports AS known (service, instance, measure, subject, value)
    SELECT $1, $2, measure, subject, value
    FROM unnest($3::text[], $4::text[], $5::float8[]) AS told (measure, subject, value)
    ON CONFLICT (service, instance, measure, subject)
        DO UPDATE SET value = excluded.value, told_at = clock_timestamp()
"""
# With what processes told that are gone.
FORGET = f"""
    DELETE FROM celeriac_self_reports AS known
    WHERE service = $1 AND (told_at < clock_timestamp() - make_interval(secs => {STALE_SECONDS})
        OR instance = $2 AND NOT EXISTS (SELECT FROM unnest($3::text[], $4::text[]) AS told (measure, subject)
            WHERE (told.measure, told.subject) = (known.measure, known.subject)))
"""
READ = f"""
    SELECT service, measure, subject, value FROM celeriac_self_reports
    WHERE told_at > clock_timestamp() - make_interval(secs => {STALE_SECONDS})
"""

Told = Mapping[tuple[str, str], float]


class RecentCount:
    """How much a counter has grown in the last five minutes, as far as it was looked at."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, float]] = deque()

    def look(self, count: float, now: float) -> float:
        """Returns the growth, counted from the first look on. `now`: seconds of a monotonic clock.

        A count that is smaller than the one before is that of a process started anew: it began at zero.
        """
        if self._seen and count < self._seen[-1][1]:
            self._seen.clear()
            self._seen.append((now, 0.0))
        self._seen.append((now, count))
        while now - self._seen[0][0] > WINDOW_SECONDS:
            self._seen.popleft()
        return count - self._seen[0][1]


class SelfReport:
    """`refused`: how many callers were refused since the start. `heartbeats`: of all loops of the process."""

    def __init__(
        self,
        database: Database,
        outbox: Outbox,
        heartbeats: Sequence[Heartbeat],
        certificates: Certificates,
        refused: Callable[[], float],
        pace: Pace = USUAL,
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._heartbeats = heartbeats
        self._certificates = certificates
        self._refused, self._recent = refused, RecentCount()
        self._instance = uuid.uuid4()
        self._told: Told | None = None
        self._told_at = float("-inf")
        self.loop = Loop(
            "self_report",
            self.look,
            every=pace.self_report,
            outlives=DATABASE_ERRORS,
            failed="self_report.not_told",
        )

    async def look(self) -> None:
        """Looks at this process, and tells what has changed."""
        told = await self._collected()
        if told == self._told and time.monotonic() - self._told_at < REFRESH_SECONDS:
            return
        measures, subjects = [each[0] for each in told], [each[1] for each in told]
        async with self._database.transaction() as connection:
            who = self._outbox.service, self._instance
            await connection.execute(FORGET, *who, measures, subjects)
            await connection.execute(TELL, *who, measures, subjects, list(told.values()))
        self._told, self._told_at = told, time.monotonic()

    async def _collected(self) -> Told:
        found = {
            (LOOP, each.name): each.failing_since
            for each in self._heartbeats
            if each.failing_since is not None
        }
        found[CERTIFICATE, ""] = self._certificates.expires_at()
        found[REFUSALS, ""] = self._recent.look(self._refused(), time.monotonic())
        if (LOOP, OUTBOX_LOOP) in found:
            oldest = await self._outbox.oldest_time()
            if oldest is not None:
                found[OUTBOX, ""] = oldest
        return found


@dataclass(frozen=True, slots=True)
class Reported:
    """What a process of the service told."""

    service: str
    measure: str
    subject: str
    value: float


async def reports(database: Database) -> Sequence[Reported]:
    """Returns what the processes of all services tell of themselves."""
    async with database.reading() as connection:
        return [Reported(**row) for row in await connection.fetch(READ)]
