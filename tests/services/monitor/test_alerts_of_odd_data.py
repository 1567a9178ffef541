"""Rows, names and numbers that a monitor would not write itself: one of them keeps no other alert back."""

from __future__ import annotations

import datetime as dt
import json
import secrets
from collections.abc import Mapping
from typing import Any

import pytest
from celeriac.monitor.v1 import alerts_pb2 as pb
from celeriac.monitor.v1 import system_pb2
from celery import Celery
from google.protobuf.duration_pb2 import Duration

from services.kernel.pages import encode_place
from tests.support.calls import eventually, fields_at_fault
from tests.support.monitors import Monitor
from tests.support.servers import Valkey
from tests.support.sql import fetch_sync

LONG = secrets.token_hex(512)
SOUND = {"measure": "queue_length", "comparison": "ABOVE", "threshold": 1.0, "severity": "INFO"}


@pytest.fixture(scope="module")
def monitor_settings() -> Mapping[str, str]:
    return {"CELERIAC_PACE": "0.03"}


def a_rule(name: str, queue: str) -> pb.AlertRule:
    return pb.AlertRule(
        name=f"alertRules/{name}",
        measure="queue_length",
        comparison=pb.ALERT_COMPARISON_AT_LEAST,
        threshold=1,
        clear_duration=Duration(),
        severity=pb.ALERT_SEVERITY_INFO,
        subject_patterns=[queue],
    )


def fires(monitor: Monitor, app: Celery, name: str) -> None:
    """A rule made now raises an alert."""
    queue = f"queue_of_{name}"
    app.send_task("add", [1, 2], queue=queue)
    monitor.alerts.CreateAlertRule(pb.CreateAlertRuleRequest(alert_rule=a_rule(name, queue)))
    wanted = pb.ListAlertsRequest(rules=[f"alertRules/{name}"], states=[pb.ALERT_STATE_FIRING])
    assert eventually(lambda: monitor.alerts.ListAlerts(wanted).alerts)


def put_rule(database_url: str, name: str, definition: Any) -> None:
    fetch_sync(
        database_url,
        "INSERT INTO celery_alert_rules (id, definition, updated_by) VALUES ($1, $2::jsonb, 'psql')",
        name,
        json.dumps(definition),
    )


@pytest.mark.parametrize(
    "definition",
    [
        {},
        [],
        {**SOUND, "comparison": "ABOUT"},
        {**SOUND, "severity": "DIRE"},
        {**SOUND, "threshold": None},
        {**SOUND, "threshold": "ten"},
        {**SOUND, "subjects": [1]},
        {**SOUND, "subjects": None},
        {**SOUND, "labels": [["team"]]},
        {**SOUND, "hold_seconds": None},
        {**SOUND, "description": 5},
        {**SOUND, "clear_threshold": "x"},
    ],
)
def test_a_damaged_rule_is_left_out_and_can_be_made_anew(
    monitor: Monitor, app: Celery, database_url: str, definition: Any, request: pytest.FixtureRequest
) -> None:
    number = len(monitor.alerts.ListAlertRules(pb.ListAlertRulesRequest(page_size=1000)).rules)
    broken = f"broken-{number}"
    put_rule(database_url, broken, definition)
    fires(monitor, app, f"beside-{number}")
    names = [
        each.name for each in monitor.alerts.ListAlertRules(pb.ListAlertRulesRequest(page_size=1000)).rules
    ]
    assert f"alertRules/{broken}" not in names
    anew = a_rule(broken, "nothing")
    made = monitor.alerts.CreateAlertRule(pb.CreateAlertRuleRequest(alert_rule=anew)).rule
    assert made.threshold == 1
    monitor.alerts.DeleteAlertRule(pb.DeleteAlertRuleRequest(name=made.name))


def test_a_damaged_row_of_a_standing_rule_leaves_the_standing_one(
    monitor: Monitor, app: Celery, database_url: str
) -> None:
    put_rule(database_url, "queue-long", {"threshold": 1})
    rule = monitor.alerts.GetAlertRule(pb.GetAlertRuleRequest(name="alertRules/queue-long")).rule
    assert (rule.threshold, rule.changed) == (10, False)
    fires(monitor, app, "beside-standing")


def test_an_alert_of_a_severity_of_a_later_release_is_left_out(
    monitor: Monitor, app: Celery, database_url: str
) -> None:
    fires(monitor, app, "later")
    fetch_sync(
        database_url,
        """INSERT INTO celery_alerts (rule, subject, measure, comparison, threshold, severity, description,
            labels, runbook_url, value, worst, last, since, fired_at)
        VALUES ('later', 'x', 'y', 'ABOVE', 1, 'DIRE', '', '{}', '', 1, 1, 1, now(), now())""",
    )
    fires(monitor, app, "after-later")
    assert monitor.alerts.ListAlerts(pb.ListAlertsRequest()).alerts


@pytest.mark.parametrize(
    ("name", "queue", "shown"),
    [
        ("nul", "nul\0in_it", "nul\ufffdin_it"),
        # As long as names may be. It does not shrink, so that an index of whole names has no room for it.
        ("long", LONG, LONG),
        ("control", "\x1b[31mred\n", "\x1b[31mred\n"),
        ("chinese", "佇列" * 170, "佇列" * 170),
        # Longer names are left out.
        ("too-long", "佇列" * 2_000, None),
    ],
)
def test_alerts_of_queues_with_odd_names(
    monitor: Monitor, app: Celery, broker: Valkey, name: str, queue: str, shown: str | None
) -> None:
    name = f"odd-{name}"
    app.send_task("add", [1, 2], queue=queue)
    rule = a_rule(name, "*")
    monitor.alerts.CreateAlertRule(pb.CreateAlertRuleRequest(alert_rule=rule))
    fires(monitor, app, f"beside-{name}")
    wanted = pb.ListAlertsRequest(rules=[rule.name], states=[pb.ALERT_STATE_FIRING])
    told = {f"queue_of_beside-{name}", *([shown] if shown else [])}
    assert eventually(lambda: told <= {alert.subject for alert in monitor.alerts.ListAlerts(wanted).alerts})
    subjects = {alert.subject for alert in monitor.alerts.ListAlerts(wanted).alerts}
    assert shown or not any(subject.startswith(queue[:100]) for subject in subjects)
    monitor.alerts.DeleteAlertRule(pb.DeleteAlertRuleRequest(name=rule.name))
    broker.flush()


def test_numbers_and_page_tokens_with_thousands_of_digits_are_refused(monitor: Monitor) -> None:
    many = "9" * 5_000
    get = pb.GetAlertRequest(name=f"alerts/{many}")
    assert fields_at_fault(monitor.alerts.GetAlert, get) == ["name"]
    end = pb.EndAlertSilenceRequest(name=f"alertSilences/{many}")
    assert fields_at_fault(monitor.alerts.EndAlertSilence, end) == ["name"]
    token = encode_place((dt.datetime.now(dt.UTC), many))
    for call, request in (
        (monitor.alerts.ListAlerts, pb.ListAlertsRequest(page_token=token)),
        (monitor.alerts.ListAlertSilences, pb.ListAlertSilencesRequest(page_token=token)),
        (monitor.system.ListEventGaps, system_pb2.ListEventGapsRequest(page_token=token)),
    ):
        assert fields_at_fault(call, request) == ["page_token"]
