"""Tries the rules on each reading, and writes which alerts begin and end.

Every monitor does the first, so that one which takes over knows for how long what has been over a
threshold; the one that writes does the second. If two believe for a moment that they write, an alert still
begins and ends once: the database takes it no second time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

import structlog

from services.kernel.database import Connection, Database
from services.monitor.alerts.alert import Alert
from services.monitor.alerts.channels import Channels
from services.monitor.alerts.judging import Ends, Fires, GoesOn, Judge, Verdict
from services.monitor.alerts.rule import Rule
from services.monitor.alerts.runbook import link
from services.monitor.alerts.store_alerts import MOST_FIRING, AlertStore, GoingOn
from services.monitor.alerts.store_deliveries import DeliveryStore
from services.monitor.alerts.store_rules import RuleStore
from services.monitor.measuring.measures import Reading
from services.monitor.pace import USUAL, Pace

log = structlog.get_logger(__name__)

# Alerts of one rule that fire at a time. Of a thousand queues that are too long, so many tell enough.
MOST_OF_A_RULE = 200
RULE_GONE, RULE_PAUSED, RULE_CHANGED = "its rule was deleted", "its rule was paused", "its rule was changed"


class Evaluating:
    """`writes`: whether this monitor writes. `told`: called after a change of alerts.

    `runbook`: where people read it.
    """

    def __init__(
        self,
        database: Database,
        channels: Channels,
        writes: Callable[[], bool],
        told: Callable[[], None],
        runbook: str,
        pace: Pace = USUAL,
    ) -> None:
        self._group_seconds = pace.alerts_group
        self._database = database
        self._channels = channels
        self._writes = writes
        self._told = told
        self._runbook = runbook
        self._judges: dict[str, Judge] = {}

    async def take(self, reading: Reading) -> None:
        """Tries all rules on the reading. Raises DATABASE_ERRORS; then the next reading makes up for it."""
        async with self._database.reading() as connection:
            rules = await RuleStore(connection).all()
            firing = _by_rule(await AlertStore(connection).firing())
        self._know(rules)
        verdicts = [
            (judge.rule, firing[name], list(judge.judge(reading, firing[name].keys())))
            for name, judge in self._judges.items()
        ]
        ended = _ended_by_rules(firing, {rule.id: rule for rule in rules})
        if self._writes() and (ended or any(found for _, _, found in verdicts)):
            async with self._database.transaction() as connection:
                changed = await _Writing(
                    connection, reading, self._channels, self._runbook, self._group_seconds
                ).write(verdicts, ended)
            if changed:
                self._told()

    def _know(self, rules: Sequence[Rule]) -> None:
        """Keeps a judge for each rule that is not paused; a new one for one that was changed."""
        wanted = {rule.id: rule for rule in rules if not rule.paused}
        self._judges = {
            name: known if (known := self._judges.get(name)) and known.rule == rule else Judge(rule)
            for name, rule in wanted.items()
        }


def _by_rule(alerts: Sequence[Alert]) -> Mapping[str, dict[str, Alert]]:
    found: defaultdict[str, dict[str, Alert]] = defaultdict(dict)
    for alert in alerts:
        found[alert.rule][alert.subject] = alert
    return found


def _ended_by_rules(
    firing: Mapping[str, dict[str, Alert]], rules: Mapping[str, Rule]
) -> dict[str, list[int]]:
    """Returns the alerts that their rules would not raise any more, by the reason."""
    ended: defaultdict[str, list[int]] = defaultdict(list)
    for name, alerts in firing.items():
        rule = rules.get(name)
        for alert in alerts.values():
            if rule is None:
                ended[RULE_GONE].append(alert.id)
            elif rule.paused:
                ended[RULE_PAUSED].append(alert.id)
            elif rule.measure != alert.measure or not rule.is_about(alert.subject):
                ended[RULE_CHANGED].append(alert.id)
    return ended


class _Writing:
    """What one reading changes, in one transaction."""

    def __init__(
        self, connection: Connection, reading: Reading, channels: Channels, runbook: str, group_seconds: float
    ) -> None:
        self._alerts = AlertStore(connection)
        self._deliveries = DeliveryStore(connection)
        self._now = reading.time
        self._channels = channels.all()
        self._runbook = runbook
        self._group_seconds = group_seconds

    async def write(
        self,
        verdicts: Sequence[tuple[Rule, Mapping[str, Alert], Sequence[Verdict]]],
        ended: Mapping[str, Sequence[int]],
    ) -> bool:
        """Returns whether an alert has begun or ended."""
        changed, going_on = False, GoingOn()
        in_all = MOST_FIRING - sum(len(firing) for _, firing, _ in verdicts)
        ends: defaultdict[str, list[int]] = defaultdict(list, {why: list(ids) for why, ids in ended.items()})
        done = {alert_id for ids in ended.values() for alert_id in ids}
        for rule, firing, found in verdicts:
            room = min(MOST_OF_A_RULE - len(firing), in_all)
            for verdict in found:
                match verdict:
                    case Fires() if room > 0:
                        changed |= await self._fire(rule, verdict)
                        room, in_all = room - 1, in_all - 1
                    case Ends(subject, reason) if firing[subject].id not in done:
                        ends[reason].append(firing[subject].id)
                    case GoesOn(subject, value):
                        alert = firing[subject]
                        going_on.add(alert, value, rule.worse(alert.worst, value))
        for reason, ids in ends.items():
            changed |= await self._end(ids, reason)
        if going_on.ids:
            await self._alerts.go_on(going_on)
        return changed

    async def _fire(self, rule: Rule, fires: Fires) -> bool:
        alert_id = await self._alerts.fire(rule, fires, self._now, link(rule.runbook_url, self._runbook))
        if alert_id is None:
            return False
        [alert] = await self._alerts.some([alert_id])
        told = [channel.name for channel in self._channels if channel.is_told(alert)]
        await self._deliveries.add(alert_id, told, self._group_seconds)
        log.warning(
            "alert.fires", alert=alert_id, rule=rule.id, subject=fires.subject, value=fires.value, told=told
        )
        return True

    async def _end(self, ids: Sequence[int], reason: str) -> bool:
        ended = await self._alerts.end(ids, reason, self._now)
        await self._deliveries.add_ends(ended, self._group_seconds)
        for alert_id in ended:
            log.info("alert.ended", alert=alert_id, reason=reason)
        return bool(ended)
