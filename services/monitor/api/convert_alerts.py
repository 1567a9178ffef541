"""Alerts, silences, deliveries and channels as messages of the contract."""

from __future__ import annotations

from collections.abc import Sequence

from celeriac.monitor.v1 import alerts_pb2 as pb

from services.kernel.grpc.wire import timestamp
from services.monitor.alerts.alert import Alert
from services.monitor.alerts.channels import Channel
from services.monitor.alerts.silence import Silence
from services.monitor.alerts.store_deliveries import FIRING, ChannelRecord, Delivery
from services.monitor.api.alert_requests import SEVERITIES


def alert_to(alert: Alert, deliveries: Sequence[Delivery] = ()) -> pb.Alert:
    return pb.Alert(
        name=f"alerts/{alert.id}",
        rule=f"alertRules/{alert.rule}",
        measure=alert.measure,
        subject=alert.subject,
        state=pb.ALERT_STATE_FIRING if alert.fires else pb.ALERT_STATE_RESOLVED,
        severity=SEVERITIES[alert.severity],
        summary=alert.summary,
        description=alert.description,
        labels=alert.labels,
        runbook_url=alert.runbook_url,
        value=alert.value,
        worst_value=alert.worst,
        last_value=alert.last,
        start_time=timestamp(alert.since),
        fire_time=timestamp(alert.fired_at),
        end_time=timestamp(alert.ended_at),
        end_reason=alert.end_reason,
        acknowledged_by=alert.acknowledged_by,
        acknowledge_time=timestamp(alert.acknowledged_at),
        acknowledge_note=alert.acknowledge_note,
        silence_end_time=timestamp(alert.silenced_until),
        undelivered=alert.undelivered,
        deliveries=map(delivery_to, deliveries),
    )


def delivery_to(delivery: Delivery) -> pb.AlertDelivery:
    if delivery.delivered_at is not None:
        state = pb.ALERT_DELIVERY_STATE_DELIVERED
    elif delivery.next_at is not None:
        state = pb.ALERT_DELIVERY_STATE_WAITING
    else:
        state = pb.ALERT_DELIVERY_STATE_GIVEN_UP
    fires = delivery.told_state == FIRING
    return pb.AlertDelivery(
        channel=delivery.channel,
        told_state=pb.ALERT_STATE_FIRING if fires else pb.ALERT_STATE_RESOLVED,
        state=state,
        attempts=delivery.attempts,
        error=delivery.error,
        create_time=timestamp(delivery.created_at),
        deliver_time=timestamp(delivery.delivered_at),
    )


def silence_to(silence: Silence) -> pb.AlertSilence:
    return pb.AlertSilence(
        name=f"alertSilences/{silence.id}" if silence.id else "",
        rule=f"alertRules/{silence.rule}" if silence.rule else "",
        subject_pattern=silence.subject_pattern,
        labels=silence.labels,
        end_time=timestamp(silence.until),
        reason=silence.reason,
        created_by=silence.created_by,
        create_time=timestamp(silence.created_at),
    )


def channel_to(channel: Channel, record: ChannelRecord) -> pb.AlertChannel:
    return pb.AlertChannel(
        name=f"alertChannels/{channel.name}",
        kind=channel.kind,
        least_severity=SEVERITIES[channel.least_severity],
        labels=channel.labels,
        deliver_time=timestamp(record.delivered_at),
        error=record.error,
        waiting_count=record.waiting,
    )
