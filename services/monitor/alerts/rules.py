"""What people do with rules: look, make, change, delete, and try on the past."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable, Sequence

from services.kernel.database import Database
from services.kernel.errors import AlreadyExists, Conflict, FailedPrecondition, NotFound
from services.kernel.once import Once
from services.monitor.alerts.rule import Rule
from services.monitor.alerts.standing import STANDING
from services.monitor.alerts.store_rules import RuleStore
from services.monitor.alerts.trial import NOT_KEPT, SPAN, Trial, trial_of
from services.monitor.measuring.measures import Reading

# Returns the kept readings of one measure since a moment, in the order of their times.
Past = Callable[[str, dt.datetime], Awaitable[Sequence[Reading]]]


class Rules:
    """The use cases of rules; each change is one transaction."""

    def __init__(self, database: Database, past: Past) -> None:
        self._database = database
        self._past = past
        # Of 200 queues a trial takes seconds of CPU: one at a time, beside the event loop.
        self._trying = asyncio.Semaphore(1)

    async def all(self) -> Sequence[Rule]:
        async with self._database.reading() as connection:
            return await RuleStore(connection).all()

    async def get(self, rule_id: str, etag: str = "") -> Rule:
        """Raises `NotFound`, and `Conflict` if the etag is another version's."""
        async with self._database.reading() as connection:
            rule = _found(await RuleStore(connection).get(rule_id), rule_id)
        _check(rule, etag)
        return rule

    async def refuse_existing(self, rule_id: str) -> None:
        """Raises `AlreadyExists` if there is a rule of this id."""
        async with self._database.reading() as connection:
            if await RuleStore(connection).get(rule_id) is not None:
                raise AlreadyExists("alert_rule", rule_id)

    async def create(self, rule: Rule, actor: str, once: Once | None) -> Rule:
        """Raises `AlreadyExists`, and `Invalid` if the request's id was another request's."""
        async with self._database.transaction() as connection:
            store = RuleStore(connection)
            await store.lock()
            made = await store.made_by(once) if once else None
            if made is not None:
                return made
            if await store.get(rule.id) is not None:
                raise AlreadyExists("alert_rule", rule.id)
            return await store.put(rule, actor, once)

    async def change(self, rule_id: str, etag: str, actor: str, changed: Callable[[Rule], Rule]) -> Rule:
        """Stores what `changed` makes of the rule as it is now. Raises `NotFound` and `Conflict`."""
        async with self._database.transaction() as connection:
            store = RuleStore(connection)
            await store.lock()
            rule = _found(await store.get(rule_id), rule_id)
            _check(rule, etag)
            return await store.put(changed(rule), actor)

    async def delete(self, rule_id: str, etag: str) -> Rule | None:
        """Returns the standing rule, as it is again; None if the rule is gone."""
        async with self._database.transaction() as connection:
            store = RuleStore(connection)
            await store.lock()
            rule = _found(await store.get(rule_id), rule_id)
            _check(rule, etag)
            if rule.standing and not rule.changed:
                text = f"every system has the rule {rule_id!r}, and nobody has changed it; pause it instead"
                raise FailedPrecondition("ALERT_RULE_STANDING", text)
            await store.delete(rule_id)
            return STANDING.get(rule_id)

    async def tried(self, rule: Rule) -> Trial:
        """Returns what the rule would have raised in the last 24 hours."""
        measure = rule.measured
        if measure is None or not measure.kept:
            return Trial(note=NOT_KEPT)
        async with self._trying:
            readings = await self._past(rule.measure, dt.datetime.now(dt.UTC) - SPAN)
            return await asyncio.to_thread(trial_of, rule, readings)


def _found(rule: Rule | None, rule_id: str) -> Rule:
    if rule is None:
        raise NotFound("alert_rule", rule_id)
    return rule


def _check(rule: Rule, etag: str) -> None:
    if etag not in ("", rule.etag):
        raise Conflict(f"alertRules/{rule.id}", rule.etag)
