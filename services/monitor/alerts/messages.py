"""What people are told of alerts: one message for all that a channel is to be told at a time."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from zoneinfo import ZoneInfo

from services.monitor.alerts.alert import Alert
from services.monitor.alerts.rule import Severity

# Alerts that one message tells one by one; of more it tells the number.
MOST_TOLD = 20
# The kinds that Apprise has: channels show them as a colour or a sign, or send them as a field.
INFO, ENDED = "info", "success"
KINDS = {Severity.INFO: INFO, Severity.WARNING: "warning", Severity.CRITICAL: "failure"}
TEST_TITLE = "Celeriac: a test"
TEST_BODY = "This is a test of the channel {name!r}. Nothing is wrong: somebody asked for it."


def title_of(alerts: Sequence[Alert]) -> str:
    """Returns the title: "Celeriac: 2 alerts fire, 1 has ended"."""
    firing = sum(alert.fires for alert in alerts)
    ended = len(alerts) - firing
    parts = []
    if firing:
        parts.append("1 alert fires" if firing == 1 else f"{firing} alerts fire")
    if ended:
        what = "" if firing else (" alert" if ended == 1 else " alerts")
        parts.append(f"{ended}{what} {'has' if ended == 1 else 'have'} ended")
    return f"Celeriac: {', '.join(parts)}"


def kind_of(alerts: Sequence[Alert]) -> str:
    """Returns the kind of the message: that of the most severe that fires, or that all have ended."""
    firing = [alert.severity for alert in alerts if alert.fires]
    return KINDS[max(firing, key=lambda severity: severity.rank)] if firing else ENDED


def body_of(alerts: Sequence[Alert], zone: ZoneInfo) -> str:
    """Returns the text: the most severe of those that fire first, then those that ended."""
    ordered = sorted(
        alerts, key=lambda alert: (not alert.fires, -alert.severity.rank, alert.fired_at, alert.id)
    )
    told = [_paragraph(alert, zone) for alert in ordered[:MOST_TOLD]]
    more = len(ordered) - MOST_TOLD
    if more > 0:
        told.append(f"… and {more} more: `celeriac alerts list`")
    return "\n\n".join(told)


def _paragraph(alert: Alert, zone: ZoneInfo) -> str:
    since = _time(alert.since, zone)
    if alert.ended_at is not None:
        head = f"ENDED  {alert.rule}: {alert.summary}"
        lines = [head, f"from {since} until {_time(alert.ended_at, zone)}: {alert.end_reason}"]
    else:
        lines = [f"{alert.severity.value}  {alert.rule}: {alert.summary}"]
        lines.append(f"since {since}; fires since {_time(alert.fired_at, zone)}")
        if alert.description:
            lines.append(alert.description)
        if alert.runbook_url:
            lines.append(f"What to do: {alert.runbook_url}")
    if alert.labels:
        lines.append(", ".join(f"{name}={value}" for name, value in sorted(alert.labels.items())))
    lines.append(f"alerts/{alert.id}")
    return "\n".join(lines)


def _time(moment: dt.datetime, zone: ZoneInfo) -> str:
    """With the zone by its name: CST is Taipei's time, and Chicago's."""
    return f"{moment.astimezone(zone):%Y-%m-%d %H:%M:%S} {zone.key}"
