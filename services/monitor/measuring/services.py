"""Measures of the services, by what their processes tell of themselves; of the gateway and of certificates,
by a look at them.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

import structlog

from services.kernel import self_report
from services.kernel.database import Database
from services.kernel.logged_errors import for_log
from services.monitor.measuring.certificates import Certificate
from services.monitor.measuring.gateway import GATEWAY, GatewayRefusals
from services.monitor.measuring.measures import Values

log = structlog.get_logger(__name__)

CERTIFICATE, REFUSALS = "certificate_left_seconds", "sign_ins_refused"
# The measure, how it is had of what was told, and which of several processes of a service counts.
Rule = tuple[str, Callable[[float, float], float], Callable[[float, float], float]]
RULES: Mapping[str, Rule] = {
    self_report.LOOP: ("loop_failing_seconds", lambda told, now: max(0.0, now - told), max),
    self_report.OUTBOX: ("outbox_oldest_seconds", lambda told, now: max(0.0, now - told), max),
    self_report.CERTIFICATE: (CERTIFICATE, lambda told, now: told - now, min),
    self_report.REFUSALS: (REFUSALS, lambda told, now: told, lambda one, other: one + other),
}


class ServiceMeasures:
    """The subject is the service; of loops, service and loop: "scheduler/dispatch"; "gateway"; a file's name.

    `certificates`, `refusals`: what is looked at, beside what processes tell.
    """

    def __init__(
        self,
        database: Database,
        certificates: Sequence[Certificate] = (),
        refusals: GatewayRefusals | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._certificates, self._refusals = certificates, refusals
        self._now = now
        # When each certificate expires, as read last.
        self._expiries: dict[str, float] = {}
        # What was read once, and what could not be read at the last look.
        self._read: set[str] = set()
        self._unread: set[str] = set()

    async def read(self) -> Mapping[str, Values]:
        """A measure that no process tells anything of is known: nothing waits, nothing fails."""
        now = self._now()
        found: dict[str, dict[str, float]] = {rule[0]: {} for rule in RULES.values()}
        for each in await self_report.reports(self._database):
            if each.measure not in RULES:
                continue
            measure, derived, worse = RULES[each.measure]
            subject = f"{each.service}/{each.subject}" if each.subject else each.service
            value, known = derived(each.value, now), found[measure].get(subject)
            found[measure][subject] = value if known is None else worse(known, value)
        await self._look_at_certificates()
        found[CERTIFICATE] |= {subject: until - now for subject, until in self._expiries.items()}
        found[REFUSALS] |= await self._refused_by_the_gateway()
        return found

    async def _look_at_certificates(self) -> None:
        """One that can't be read now expires when it did before: an alert about it goes on."""
        for each in self._certificates:
            expires_at = await self._asked(f"the certificate {each.subject}", each.expires_at)
            if expires_at is not None:
                self._expiries[each.subject] = expires_at

    async def _refused_by_the_gateway(self) -> Values:
        if self._refusals is None:
            return {}
        refused = await self._asked("callers refused by the gateway", self._refusals.look)
        return {} if refused is None else {GATEWAY: refused}

    async def _asked(self, what: str, ask: Callable[[], Awaitable[float]]) -> float | None:
        """Returns the value; None if it can't be read, which is logged once until it can be."""
        try:
            found = await ask()
        except OSError as error:
            if what not in self._unread:
                self._unread.add(what)
                # The gateway starts after the monitor: what has not come yet is no reason to warn.
                say = log.warning if what in self._read else log.info
                say("measures.not_known", source=what, error=for_log(error))
            return None
        self._unread.discard(what)
        self._read.add(what)
        return found
