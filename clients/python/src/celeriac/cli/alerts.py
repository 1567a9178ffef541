"""`celeriac alerts`: list, show, ack, silence, silences, unsilence, rules, channels, test."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import click

from celeriac.cli import times
from celeriac.cli.asking import plural
from celeriac.cli.failures import FAILED
from celeriac.cli.options import SEVERAL, limited
from celeriac.cli.output import Column
from celeriac.cli.schedules_edit import labels_of
from celeriac.cli.session import Session, command

SEVERITIES = {"critical": "red", "warning": "yellow", "info": "cyan"}
STATES = {"firing": "red", "resolved": "green", "acknowledged": "yellow", "silenced": "dim"}


def _severity(found: Any) -> str:
    return str(found.severity or "").lower()


def _state(alert: Any) -> str:
    """Returns what is to be known first of an alert that fires: whether somebody looks after it."""
    if alert.state == "FIRING" and alert.acknowledged_by:
        return "acknowledged"
    if alert.state == "FIRING" and alert.silence_end_time:
        return "silenced"
    return str(alert.state or "").lower()


def _rule(found: Any) -> str:
    return str(found.rule.partition("/")[2])


def _labels(found: Any) -> list[str]:
    return [f"{name}={value}" for name, value in sorted(found.labels.items())]


COLUMNS = [
    Column("ID", "id"),
    Column("STATE", _state, styles=STATES),
    Column("SEVERITY", _severity, styles=SEVERITIES),
    Column("SINCE", "fire_time"),
    Column("SUMMARY", "summary"),
    Column("RULE", _rule, whole=True),
    Column("SUBJECT", "subject", unset="the system", spare=True),
    Column("ENDED", "end_time", unset="not yet", wide=True),
    Column("BY", "acknowledged_by", unset="", wide=True),
]
SHOWN = [
    Column("id", "id"),
    Column("summary", "summary"),
    Column("state", _state),
    Column("severity", _severity),
    Column("rule", _rule),
    Column("means", "description"),
    Column("subject", "subject", unset="the system"),
    Column("value", "last_value"),
    Column("worst", "worst_value"),
    Column("since", "fire_time"),
    Column("ended", "end_time", unset="not yet"),
    Column("why it ended", "end_reason", unset=""),
    Column("looked after by", "acknowledged_by", unset="nobody"),
    Column("note", "acknowledge_note", unset=""),
    Column("silenced until", "silence_end_time", unset=""),
    Column("what to do", "runbook_url", unset=""),
    Column("labels", _labels),
    Column("told", lambda alert: [f"{each.channel} {str(each.state).lower()}" for each in alert.deliveries]),
]
RULES = [
    Column("NAME", "id"),
    Column("STATE", lambda rule: "paused" if rule.paused else "active", styles={"paused": "yellow"}),
    Column("SEVERITY", _severity, styles=SEVERITIES),
    Column("MEASURE", "measure"),
    Column("IS", lambda rule: f"{str(rule.comparison or '').lower().replace('_', ' ')} {rule.threshold:g}"),
    Column("FOR", "hold_duration", unset="at once"),
    Column("DESCRIPTION", "description"),
]
SILENCES = [
    Column("ID", "id"),
    Column("UNTIL", "end_time"),
    Column("RULE", _rule, unset="any"),
    Column("SUBJECT", "subject_pattern", unset="any"),
    Column("LABELS", _labels, unset="any"),
    Column("BY", "created_by"),
    Column("REASON", "reason"),
]
CHANNELS = [
    Column("NAME", "id"),
    Column("KIND", "kind"),
    Column("FROM", lambda channel: str(channel.least_severity or "").lower()),
    Column("LAST", "deliver_time", unset="never"),
    Column("WAITING", "waiting_count"),
    Column("ERROR", "error", unset=""),
]


@command("list")
@click.option("--all", "all_", is_flag=True, help="Those that have ended as well.")
@click.option("--severity", type=SEVERAL, metavar="critical,…", help="Only of these severities.")
@click.option("--rule", type=SEVERAL, metavar="NAME,…", help="Only of these rules.")
@limited
def list_(session: Session, all_: bool, severity: Any, rule: Any, limit: int | None) -> None:
    """List alerts that fire, the newest first."""
    found = session.client.alerts.list(
        states=None if all_ else "FIRING",
        severities=severity,
        rules=rule,
        limit=limit,
        deadline=session.deadline,
    )
    session.out.items(found, COLUMNS, "no alert fires" if not all_ else "no alert matches")


@command("show")
@click.argument("id")
def show(session: Session, id: str) -> None:
    """Show an alert: what is measured, since when, who was told, and what to do."""
    session.out.item(session.client.alerts.get(id, deadline=session.deadline), SHOWN)


@command("ack")
@click.argument("id")
@click.option("-m", "--message", default="", help="What those who read it should know.")
def ack(session: Session, id: str, message: str) -> None:
    """Say that you look after an alert."""
    found = session.client.alerts.acknowledge(id, note=message, deadline=session.deadline)
    session.out.result(found, f"{found.id} is acknowledged by {found.acknowledged_by}")


@command("silence")
@click.option("--rule", metavar="NAME", help="Alerts of this rule.")
@click.option("--subject", metavar="'ai_*'", help="Alerts about these queues, tasks or workers; * for all.")
@click.option(
    "--label", multiple=True, metavar="team=rvt", help="Alerts with this label; may be given again."
)
@click.option("--for", "length", type=times.DURATION, required=True, metavar="2h", help="For how long.")
@click.option("-m", "--message", required=True, help="Why.")
@click.option("--dry-run", is_flag=True, help="Only say how many alerts it would silence now.")
def silence(
    session: Session,
    rule: str | None,
    subject: str | None,
    label: Sequence[str],
    length: dt.timedelta,
    message: str,
    dry_run: bool,
) -> None:
    """Have nobody told of some alerts for some time, such as during a move."""
    if not (rule or subject or label):
        raise click.UsageError("give --rule, --subject or --label; for all alerts --subject '*'")
    wanted = {
        "rule": rule,
        "subject_pattern": subject,
        "labels": labels_of(label),
        "end_time": session.now + length,
        "reason": message,
    }
    found = session.client.alerts.create_silence(wanted, validate_only=dry_run, deadline=session.deadline)
    now = f"{plural(found.alert_count, 'alert')} firing now"
    made = found.silence.id if found.silence is not None else ""
    told = f"would silence {now}" if dry_run else f"silenced, {now} · undo: celeriac alerts unsilence {made}"
    session.out.result(found, told)


@command("silences")
@limited
def silences(session: Session, limit: int | None) -> None:
    """List the silences that hold."""
    found = session.client.alerts.list_silences(limit=limit, deadline=session.deadline)
    session.out.items(found, SILENCES, "nothing is silenced")


@command("unsilence")
@click.argument("id")
def unsilence(session: Session, id: str) -> None:
    """End a silence."""
    found = session.client.alerts.end_silence(id, deadline=session.deadline)
    session.out.result(found, f"{id} has ended")


@command("rules")
@limited
def rules(session: Session, limit: int | None) -> None:
    """List the rules by which alerts are raised."""
    session.out.items(session.client.alerts.list_rules(limit=limit, deadline=session.deadline), RULES)


@command("channels")
@limited
def channels(session: Session, limit: int | None) -> None:
    """List who is told, and whether it works."""
    found = session.client.alerts.list_channels(limit=limit, deadline=session.deadline)
    session.out.items(found, CHANNELS, "nobody is told · docs/alerts.md says how to set channels")


@command("test")
@click.argument("channel")
def test(session: Session, channel: str) -> None:
    """Send a message to a channel. Exit code 1: it did not take it."""
    found = session.client.alerts.test_channel(channel, deadline=session.deadline)
    session.out.result(
        found, f"{channel} took it" if found.delivered else f"{channel} did not: {found.error}"
    )
    if not found.delivered:
        raise click.exceptions.Exit(FAILED)
