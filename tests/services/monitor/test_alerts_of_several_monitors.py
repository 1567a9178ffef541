"""Two monitors on one database: an alert begins and ends once, whichever of them is there."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from celeriac.monitor.v1 import alerts_pb2 as pb
from celery import Celery
from google.protobuf.duration_pb2 import Duration

from deploy.standalone.tokens import LocalIssuer
from tests.support.alerts import opened_inbox
from tests.support.calls import eventually
from tests.support.metrics import scraped_value
from tests.support.monitors import Monitor, running_monitor
from tests.support.servers import Valkey

RULE = pb.AlertRule(
    name="alertRules/long",
    measure="queue_length",
    comparison=pb.ALERT_COMPARISON_ABOVE,
    threshold=2,
    clear_duration=Duration(),
    severity=pb.ALERT_SEVERITY_WARNING,
    labels={"test": "yes"},
)


def alerts(monitor: Monitor) -> list[pb.Alert]:
    return list(monitor.alerts.ListAlerts(pb.ListAlertsRequest(rules=[RULE.name])).alerts)


def writes(monitor: Monitor) -> bool:
    return scraped_value(monitor.metrics_port, "celeriac_monitor_writes") == 1


def test_an_alert_begins_and_ends_once_over_the_death_of_the_monitor_that_raised_it(
    certificates: Path,
    tokens: LocalIssuer,
    own_database_url: str,
    broker: Valkey,
    app: Celery,
    tmp_path: Path,
) -> None:
    with ExitStack() as opened:
        inbox = opened.enter_context(opened_inbox())
        channels = tmp_path / "channels.toml"
        channels.write_text(f'[[channel]]\nname = "ops"\nurl = "{inbox.url}"\nlabels = {{ test = "yes" }}\n')
        settings = {"CELERIAC_PACE": "0.05", "CELERIAC_MONITOR_ALERT_CHANNELS": str(channels)}
        one, two = (
            opened.enter_context(running_monitor(certificates, tokens, own_database_url, broker, **settings))
            for _ in range(2)
        )
        one.alerts.CreateAlertRule(pb.CreateAlertRuleRequest(alert_rule=RULE))
        for _ in range(3):
            app.send_task("add", [1, 2], queue="long")
        eventually(lambda: alerts(one) and alerts(two))
        eventually(lambda: inbox.messages)
        writer, other = (one, two) if writes(one) else (two, one)
        writer.process.kill()
        eventually(lambda: writes(other))
        [known] = alerts(other)
        assert known.state == pb.ALERT_STATE_FIRING
        broker.flush()
        eventually(lambda: [each.state for each in alerts(other)] == [pb.ALERT_STATE_RESOLVED])
        eventually(lambda: "has ended" in inbox.texts())
        # If the first monitor died before it could note that it had told, the second tells again.
        titles = [title for title, _ in inbox.messages]
        assert titles[-1] == "Celeriac: 1 alert has ended"
        assert set(titles[:-1]) == {"Celeriac: 1 alert fires"}
        assert len(titles) <= 3
