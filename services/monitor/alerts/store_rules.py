"""The SQL of rules: those that people made, and standing ones that somebody changed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import orjson
import structlog

from services.kernel.database import Connection
from services.kernel.once import Once
from services.monitor.alerts.rule import Rule, RuleFault, rule_of
from services.monitor.alerts.standing import STANDING

log = structlog.get_logger(__name__)

ALL = "SELECT id, definition, updated_at, updated_by FROM celery_alert_rules ORDER BY id"
GET = "SELECT id, definition, updated_at, updated_by FROM celery_alert_rules WHERE id = $1"
# Held until the end of the transaction: of two that change one rule, the second sees what the first did.
LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('celery_alert_rules', 0))"
PUT = """
    INSERT INTO celery_alert_rules (id, definition, updated_by, request_id, request_digest)
    VALUES ($1, $2::jsonb, $3, $4, $5)
    ON CONFLICT (id) DO UPDATE SET definition = excluded.definition, updated_by = excluded.updated_by,
        updated_at = clock_timestamp()
    RETURNING id, definition, updated_at, updated_by
"""
MADE_BY = "SELECT id, request_digest FROM celery_alert_rules WHERE request_id = $1"
DELETE = "DELETE FROM celery_alert_rules WHERE id = $1"


class RuleStore:
    """Reads and writes rules over one connection. It also returns standing rules that nobody changed.

    A row that is no rule, written by hand or by a later release, is left out as if it were not there, and
    logged: it keeps no other rule from its work, and whoever makes the rule anew replaces it.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def all(self) -> Sequence[Rule]:
        """Returns all rules, by id."""
        rows = await self._connection.fetch(ALL)
        stored = {rule.id: rule for row in rows if (rule := _readable(row)) is not None}
        return [rule for _, rule in sorted({**STANDING, **stored}.items())]

    async def get(self, rule_id: str) -> Rule | None:
        row = await self._connection.fetchrow(GET, rule_id)
        rule = None if row is None else _readable(row)
        return STANDING.get(rule_id) if rule is None else rule

    async def lock(self) -> None:
        """Has others who change rules wait until the end of the transaction."""
        await self._connection.execute(LOCK)

    async def put(self, rule: Rule, actor: str, once: Once | None = None) -> Rule:
        """Stores the rule. Returns it as it is stored."""
        values = orjson.dumps(rule.values()).decode()
        request = (once.request_id, once.digest) if once else (None, None)
        return _rule(await self._connection.fetchrow(PUT, rule.id, values, actor, *request))

    async def made_by(self, once: Once) -> Rule | None:
        """Returns the rule that the request made before. Raises `Invalid` if that was another request."""
        row = await self._connection.fetchrow(MADE_BY, once.request_id)
        if row is None:
            return None
        once.check(row["request_digest"])
        return await self.get(row["id"])

    async def delete(self, rule_id: str) -> None:
        await self._connection.execute(DELETE, rule_id)


def _readable(row: Any) -> Rule | None:
    try:
        return _rule(row)
    except RuleFault as fault:
        _tell_once(row["id"], str(fault))
        return None


# Rows are read every few seconds: each is told of once.
@lru_cache(maxsize=1000)
def _tell_once(rule_id: str, fault: str) -> None:
    log.error("alerts.rule_unreadable", rule=rule_id, fault=fault)


def _rule(row: Any) -> Rule:
    standing = row["id"] in STANDING
    return rule_of(
        row["id"],
        _definition(row),
        standing=standing,
        changed=standing,
        updated_at=row["updated_at"],
        updated_by=row["updated_by"],
    )


def _definition(row: Any) -> object:
    try:
        return orjson.loads(row["definition"])
    except orjson.JSONDecodeError as error:
        # PostgreSQL has numbers that no float is.
        raise RuleFault(str(error)) from None
