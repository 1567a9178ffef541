"""Alerts of a real queue: raised, shown, told, acknowledged, silenced, ended."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import grpc
import pytest
from celeriac.monitor.v1 import alerts_pb2 as pb
from celeriac.monitor.v1 import monitoring_pb2
from celery import Celery
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp

from tests.support.alerts import Inbox, opened_inbox
from tests.support.calls import eventually, fields_at_fault, reason_of, refused
from tests.support.metrics import scraped
from tests.support.monitors import Monitor
from tests.support.servers import Valkey

FIRING, RESOLVED = pb.ALERT_STATE_FIRING, pb.ALERT_STATE_RESOLVED
DELIVERED = pb.ALERT_DELIVERY_STATE_DELIVERED


@pytest.fixture(scope="module")
def inbox() -> Iterator[Inbox]:
    with opened_inbox() as inbox:
        yield inbox


@pytest.fixture(scope="module")
def channels(tmp_path_factory: pytest.TempPathFactory, inbox: Inbox) -> Path:
    path = tmp_path_factory.mktemp("alerts") / "channels.toml"
    told = f'[[channel]]\nname = "ops"\nurl = "{inbox.url}"\nlabels = {{ test = "yes" }}\n'
    path.write_text(
        f'{told}\n[[channel]]\nname = "wrong"\nurl = "nonsense://x"\nlabels = {{ test = "no" }}\n'
    )
    return path


@pytest.fixture(scope="module")
def monitor_settings(channels: Path) -> Mapping[str, str]:
    return {
        "CELERIAC_PACE": "0.03",
        "CELERIAC_MONITOR_ALERT_CHANNELS": str(channels),
        "CELERIAC_MONITOR_RUNBOOK_URL": "https://wiki.example.org/runbook",
    }


@pytest.fixture
def queue(app: Celery, broker: Valkey, inbox: Inbox, request: pytest.FixtureRequest) -> Iterator[str]:
    """The name of a queue of the test's own, with twelve messages that nobody takes."""
    name = request.node.name.removeprefix("test_")[:40]
    for _ in range(12):
        app.send_task("add", [1, 2], queue=name)
    inbox.messages.clear()
    yield name
    broker.flush()
    inbox.answer = 200


def a_rule(queue: str, **changed: Any) -> pb.AlertRule:
    values: dict[str, Any] = {
        "name": f"alertRules/{queue.replace('_', '-')}",
        "description": "Workers do not keep up.",
        "measure": "queue_length",
        "comparison": pb.ALERT_COMPARISON_AT_LEAST,
        "threshold": 12,
        "clear_threshold": 3,
        "clear_duration": Duration(),
        "severity": pb.ALERT_SEVERITY_WARNING,
        "subject_patterns": [queue],
        "labels": {"test": "yes"},
    }
    return pb.AlertRule(**{**values, **changed})


def make(monitor: Monitor, rule: pb.AlertRule) -> pb.AlertRule:
    made: pb.AlertRule = monitor.alerts.CreateAlertRule(pb.CreateAlertRuleRequest(alert_rule=rule)).rule
    return made


def alerts(monitor: Monitor, rule: pb.AlertRule, **wanted: Any) -> list[pb.Alert]:
    return list(monitor.alerts.ListAlerts(pb.ListAlertsRequest(rules=[rule.name], **wanted)).alerts)


def one_firing(monitor: Monitor, rule: pb.AlertRule) -> pb.Alert:
    found: list[pb.Alert] = eventually(lambda: alerts(monitor, rule, states=[FIRING]))
    return found[0]


def whole(monitor: Monitor, alert: pb.Alert) -> pb.Alert:
    found: pb.Alert = monitor.alerts.GetAlert(pb.GetAlertRequest(name=alert.name)).alert
    return found


def test_a_long_queue_is_told_shown_and_ended(
    monitor: Monitor, queue: str, broker: Valkey, inbox: Inbox
) -> None:
    rule = make(monitor, a_rule(queue))
    alert = one_firing(monitor, rule)
    assert (alert.subject, alert.value, alert.severity) == (queue, 12, pb.ALERT_SEVERITY_WARNING)
    assert alert.summary == f"queue_length of {queue!r} is 12, at least 12"
    assert dict(alert.labels) == {"test": "yes"}
    metric = f'celeriac_alerts_firing{{rule="{rule.name.removeprefix("alertRules/")}",severity="WARNING"}} 1'
    eventually(lambda: metric in scraped(monitor.metrics_port))
    eventually(lambda: inbox.about(queue))
    [(title, text)] = inbox.about(queue)
    assert title == "Celeriac: 1 alert fires"
    assert f"queue_length of {queue!r}" in text
    told = eventually(lambda: [each for each in whole(monitor, alert).deliveries if each.state == DELIVERED])
    assert [(each.channel, each.told_state, each.attempts) for each in told] == [("ops", FIRING, 1)]
    broker.flush()
    [ended] = eventually(lambda: alerts(monitor, rule, states=[RESOLVED]))
    assert ended.name == alert.name
    assert ended.HasField("end_time")
    assert ended.end_reason in ("the value is well again", "nothing is measured of it any more")
    eventually(lambda: any("ENDED" in text for _, text in inbox.about(queue)))
    assert not alerts(monitor, rule, states=[FIRING])


def test_readers_of_events_are_told_and_those_who_come_later_too(monitor: Monitor, queue: str) -> None:
    watch = monitoring_pb2.WatchEventsRequest(without_tasks=True, metrics_interval=Duration(seconds=60))
    early = monitor.monitoring.WatchEvents(watch)
    next(early)
    rule = make(monitor, a_rule(queue))
    told = next(event.alert for event in early if event.alert.rule == rule.name)
    assert told.state == FIRING
    late = monitor.monitoring.WatchEvents(watch)
    again = next(event.alert for event in late if event.alert.rule == rule.name)
    assert again.name == told.name
    dashboard = monitor.monitoring.GetDashboard(monitoring_pb2.GetDashboardRequest())
    assert told.name in [each.name for each in dashboard.firing_alerts]
    assert dashboard.firing_alert_count >= 1
    for stream in (early, late):
        stream.cancel()


def test_an_alert_is_acknowledged_by_whom(monitor: Monitor, queue: str, broker: Valkey) -> None:
    rule = make(monitor, a_rule(queue))
    alert = one_firing(monitor, rule)
    request = pb.AcknowledgeAlertRequest(name=alert.name, note="看過了，工作者重啟中")
    known = monitor.alerts.AcknowledgeAlert(request).alert
    assert (known.acknowledged_by, known.acknowledge_note) == ("mei", "看過了，工作者重啟中")
    assert whole(monitor, alert).acknowledged_by == "mei"
    broker.flush()
    eventually(lambda: whole(monitor, alert).state == RESOLVED)
    with pytest.raises(grpc.RpcError) as failed:
        monitor.alerts.AcknowledgeAlert(request)
    assert reason_of(failed.value) == "ALERT_ENDED"
    code, _ = refused(monitor.alerts.GetAlert, pb.GetAlertRequest(name="alerts/999999"))
    assert code is grpc.StatusCode.NOT_FOUND


def test_nobody_is_told_of_what_is_silenced_until_the_silence_ends(
    monitor: Monitor, queue: str, inbox: Inbox
) -> None:
    until = Timestamp()
    until.FromDatetime(dt.datetime.now(dt.UTC) + dt.timedelta(hours=1))
    silence = pb.AlertSilence(subject_pattern=queue, end_time=until, reason="an upgrade")
    request = pb.CreateAlertSilenceRequest(alert_silence=silence, request_id=f"silence-{queue}")
    made = monitor.alerts.CreateAlertSilence(request).silence
    assert monitor.alerts.CreateAlertSilence(request).silence.name == made.name
    rule = make(monitor, a_rule(queue))
    alert = one_firing(monitor, rule)
    eventually(lambda: whole(monitor, alert).HasField("silence_end_time"))
    [waiting] = eventually(lambda: whole(monitor, alert).deliveries)
    assert (waiting.attempts, inbox.about(queue)) == (0, [])
    validated = pb.CreateAlertSilenceRequest(alert_silence=silence, validate_only=True)
    assert monitor.alerts.CreateAlertSilence(validated).alert_count == 1
    monitor.alerts.EndAlertSilence(pb.EndAlertSilenceRequest(name=made.name))
    eventually(lambda: inbox.about(queue))
    assert not whole(monitor, alert).HasField("silence_end_time")
    names = [each.name for each in monitor.alerts.ListAlertSilences(pb.ListAlertSilencesRequest()).silences]
    assert made.name in names


def test_what_a_channel_does_not_take_is_tried_again_and_shown(
    monitor: Monitor, queue: str, inbox: Inbox
) -> None:
    inbox.answer = 500
    rule = make(monitor, a_rule(queue))
    alert = one_firing(monitor, rule)
    eventually(lambda: inbox.refused >= 2)
    shown = eventually(
        lambda: [each for each in alerts(monitor, rule, undelivered_only=True) if each.undelivered]
    )
    assert shown[0].name == alert.name
    [delivery] = whole(monitor, alert).deliveries
    assert delivery.error
    assert "s3cr3t" not in delivery.error
    [ops, _] = monitor.alerts.ListAlertChannels(pb.ListAlertChannelsRequest()).channels
    assert (ops.name, ops.kind, ops.waiting_count >= 1) == ("alertChannels/ops", "json", True)
    assert ops.error == delivery.error
    inbox.answer = 200
    eventually(lambda: inbox.about(queue))
    eventually(lambda: not whole(monitor, alert).undelivered)


def test_a_channel_can_be_tried(monitor: Monitor, inbox: Inbox) -> None:
    answer = monitor.alerts.TestAlertChannel(pb.TestAlertChannelRequest(name="alertChannels/ops"))
    assert answer.delivered
    assert "Celeriac: a test" in [title for title, _ in inbox.messages]
    wrong = monitor.alerts.TestAlertChannel(pb.TestAlertChannelRequest(name="alertChannels/wrong"))
    assert (wrong.delivered, "no address that Apprise knows" in wrong.error) == (False, True)
    code, _ = refused(monitor.alerts.TestAlertChannel, pb.TestAlertChannelRequest(name="alertChannels/x"))
    assert code is grpc.StatusCode.NOT_FOUND


def test_a_standing_rule_is_changed_paused_and_goes_back(monitor: Monitor) -> None:
    name = "alertRules/queue-long"
    before = monitor.alerts.GetAlertRule(pb.GetAlertRuleRequest(name=name)).rule
    assert (before.standing, before.changed, before.threshold) == (True, False, 10)
    change = pb.UpdateAlertRuleRequest(
        alert_rule=pb.AlertRule(name=name, threshold=50, paused=True, etag=before.etag),
        update_mask=FieldMask(paths=["threshold", "paused"]),
    )
    changed = monitor.alerts.UpdateAlertRule(change).rule
    assert (changed.threshold, changed.paused, changed.changed, changed.updated_by) == (50, True, True, "mei")
    assert changed.description == before.description
    with pytest.raises(grpc.RpcError) as failed:
        monitor.alerts.UpdateAlertRule(change)
    assert reason_of(failed.value) == "ETAG_MISMATCH"
    change.validate_only = True
    with pytest.raises(grpc.RpcError) as failed:
        monitor.alerts.UpdateAlertRule(change)
    assert reason_of(failed.value) == "ETAG_MISMATCH"
    restored = monitor.alerts.DeleteAlertRule(pb.DeleteAlertRuleRequest(name=name)).rule
    assert restored == before
    with pytest.raises(grpc.RpcError) as failed:
        monitor.alerts.DeleteAlertRule(pb.DeleteAlertRuleRequest(name=name))
    assert reason_of(failed.value) == "ALERT_RULE_STANDING"


def test_alerts_end_with_their_rule(monitor: Monitor, queue: str) -> None:
    rule = make(monitor, a_rule(queue))
    one_firing(monitor, rule)
    monitor.alerts.DeleteAlertRule(pb.DeleteAlertRuleRequest(name=rule.name))
    [ended] = eventually(lambda: alerts(monitor, rule, states=[RESOLVED]))
    assert ended.end_reason == "its rule was deleted"


def test_a_rule_is_made_once(monitor: Monitor) -> None:
    rule = a_rule("nothing")
    request = pb.CreateAlertRuleRequest(alert_rule=rule, request_id="make-nothing")
    assert monitor.alerts.CreateAlertRule(request).rule == monitor.alerts.CreateAlertRule(request).rule
    with pytest.raises(grpc.RpcError) as failed:
        make(monitor, rule)
    assert reason_of(failed.value) == "ALERT_RULE_EXISTS"


def test_a_rule_is_tried_on_what_was_measured_before(monitor: Monitor) -> None:
    rule = pb.AlertRule(
        name="alertRules/tried",
        measure="memory_available_bytes",
        comparison=pb.ALERT_COMPARISON_ABOVE,
        severity=pb.ALERT_SEVERITY_INFO,
    )
    request = pb.CreateAlertRuleRequest(alert_rule=rule, validate_only=True)

    def tried() -> pb.AlertTrial:
        trial: pb.AlertTrial = monitor.alerts.CreateAlertRule(request).trial
        return trial

    eventually(lambda: tried().HasField("start_time"))
    trial = tried()
    assert (trial.alert_count, len(trial.alerts), trial.note) == (1, 1, "")
    [would_fire] = trial.alerts
    assert would_fire.fire_time == trial.start_time
    assert would_fire.worst_value > 0
    assert not would_fire.HasField("end_time")
    # Nothing was stored.
    code, _ = refused(monitor.alerts.GetAlertRule, pb.GetAlertRuleRequest(name=rule.name))
    assert code is grpc.StatusCode.NOT_FOUND
    request.alert_rule.measure = "component_unwell"
    assert "are not kept" in tried().note
    change = pb.UpdateAlertRuleRequest(
        alert_rule=pb.AlertRule(name="alertRules/queue-long", threshold=1e9), validate_only=True
    )
    answer = monitor.alerts.UpdateAlertRule(change)
    assert (answer.rule.threshold, answer.trial.alert_count) == (1e9, 0)


def test_what_is_wrong_with_a_rule_is_named(monitor: Monitor) -> None:
    wrong = pb.AlertRule(
        name="alertRules/Wrong!",
        measure="queue_lenght",
        threshold=float("nan"),
        clear_threshold=12,
        hold_duration=Duration(seconds=100_000),
        subject_patterns=[""],
        labels={"": "x"},
        runbook_url="javascript:alert(1)",
    )
    request = pb.CreateAlertRuleRequest(alert_rule=wrong)
    assert fields_at_fault(monitor.alerts.CreateAlertRule, request) == [
        "alert_rule.name",
        "alert_rule.measure",
        "alert_rule.comparison",
        "alert_rule.severity",
        "alert_rule.threshold",
        "alert_rule.runbook_url",
        "alert_rule.hold_duration",
        "alert_rule.subject_patterns[0]",
        "alert_rule.labels[''] (its name)",
        "alert_rule.clear_threshold",
    ]
    until = Timestamp()
    until.FromDatetime(dt.datetime.now(dt.UTC) + dt.timedelta(hours=1))
    misspelt = pb.AlertSilence(rule="alertRules/queue-lon", end_time=until)
    code, told = refused(
        monitor.alerts.CreateAlertSilence, pb.CreateAlertSilenceRequest(alert_silence=misspelt)
    )
    assert (code, told) == (
        grpc.StatusCode.NOT_FOUND,
        "there is no alert rule 'queue-lon'; did you mean 'queue-long'?",
    )
    silence = pb.CreateAlertSilenceRequest(alert_silence=pb.AlertSilence())
    assert fields_at_fault(monitor.alerts.CreateAlertSilence, silence) == [
        "alert_silence",
        "alert_silence.end_time",
    ]
