"""Reads requests for alerts, silences and channels. Each function raises `Invalid` with all that is wrong."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any

from celeriac.monitor.v1 import alerts_pb2 as pb

from services.kernel.errors import FieldFault, Invalid
from services.kernel.grpc.enums import from_wire, wire_values
from services.kernel.grpc.wire import moment_in
from services.kernel.pages import Place, decode_place, encode_place, invalid_page_token, is_row_number
from services.kernel.validation import Faults
from services.monitor.alerts.rule import ID, MOST_ID, Severity
from services.monitor.alerts.silence import Silence
from services.monitor.alerts.store_alerts import AlertFilter

SEVERITIES = wire_values(pb.AlertSeverity, Severity)
SEVERITIES_FROM_WIRE = from_wire(SEVERITIES)
FIRING_FROM_WIRE: Mapping[int, bool] = {pb.ALERT_STATE_FIRING: True, pb.ALERT_STATE_RESOLVED: False}
MOST_VALUES, MOST_TEXT, MOST_NAME = 100, 1_000, 200
MOST_LABELS, MOST_LABEL = 20, 100
LONGEST_SILENCE = dt.timedelta(days=90)
RULE, ALERT, SILENCE, CHANNEL = "alertRules/queue-long", "alerts/17", "alertSilences/3", "alertChannels/ops"


def rule_id_in(name: str, field: str = "name") -> str:
    faults = Faults()
    rule_id = checked_id(name, field, faults, "alertRules/", RULE)
    faults.raise_any()
    return rule_id


def channel_in(name: str) -> str:
    faults = Faults()
    channel = checked_id(name, "name", faults, "alertChannels/", CHANNEL)
    faults.raise_any()
    return channel


def checked_id(name: str, field: str, faults: Faults, collection: str, example: str) -> str:
    """Returns what follows the collection's name."""
    identity = name.removeprefix(collection)
    sound = name.startswith(collection) and len(identity) <= MOST_ID and ID.fullmatch(identity)
    shape = f"{collection}{{id}} with lower-case letters, digits and hyphens, at most {MOST_ID}"
    faults.unless(bool(sound), field, f"is {name[:100]!r}, it must be {shape}", example)
    return identity


def alert_id_in(name: str) -> int:
    return _number_in(name, "alerts/", ALERT)


def silence_id_in(name: str) -> int:
    return _number_in(name, "alertSilences/", SILENCE)


def _number_in(name: str, collection: str, example: str) -> int:
    number = name.removeprefix(collection)
    if not (name.startswith(collection) and is_row_number(number)):
        fault = f"is {name[:100]!r}, it must be {collection}{{number}}"
        raise Invalid([FieldFault("name", fault, example)])
    return int(number)


def filter_in(request: pb.ListAlertsRequest) -> AlertFilter:
    faults = Faults()
    states = _each(request.states, "states", faults, FIRING_FROM_WIRE, "ALERT_STATE_FIRING")
    severities = _each(
        request.severities, "severities", faults, SEVERITIES_FROM_WIRE, "ALERT_SEVERITY_CRITICAL"
    )
    many = f"has {len(request.rules)} names, at most {MOST_VALUES} are allowed"
    faults.unless(len(request.rules) <= MOST_VALUES, "rules", many, RULE)
    rules = [
        checked_id(name, f"rules[{place}]", faults, "alertRules/", RULE)
        for place, name in enumerate(request.rules[:MOST_VALUES])
    ]
    faults.raise_any()
    firing = states[0] if len(set(states)) == 1 else None
    return AlertFilter(firing, severities, rules, request.undelivered_only)


def _each(told: Any, field: str, faults: Faults, known: Mapping[int, Any], example: str) -> list[Any]:
    for place, value in enumerate(told):
        faults.unless(value in known, f"{field}[{place}]", f"is {value}, which is not known", example)
    return [known[value] for value in told if value in known]


def place_in(token: str) -> Place | None:
    """Returns where the next page of a list by time and number begins."""
    place = decode_place(token)
    if place is not None and not is_row_number(place[1]):
        raise invalid_page_token()
    return place


def place_after_silence(silence: Silence) -> str:
    """Returns the token of the page after a stored silence."""
    assert silence.created_at is not None
    return encode_place((silence.created_at, str(silence.id)))


def labels_in(labels: Mapping[str, str], field: str, faults: Faults) -> dict[str, str]:
    many = f"has {len(labels)} labels, at most {MOST_LABELS} are allowed"
    if faults.unless(len(labels) <= MOST_LABELS, field, many, '{"team": "rvt"}'):
        for name, value in labels.items():
            faults.name(f"{field}[{name[:MOST_LABEL]!r}] (its name)", name, "team", most=MOST_LABEL)
            faults.text(f"{field}[{name[:MOST_LABEL]!r}]", value, "rvt", most=MOST_LABEL, required=False)
    return dict(labels)


def note_in(request: pb.AcknowledgeAlertRequest) -> str:
    faults = Faults()
    faults.text("note", request.note, "the queue is paused until 10:00", most=MOST_TEXT, required=False)
    faults.raise_any()
    return request.note


def silence_in(message: pb.AlertSilence, actor: str, faults: Faults, now: dt.datetime) -> Silence:
    at: Callable[[str], str] = "alert_silence.{}".format
    rule = ""
    if message.rule:
        rule = checked_id(message.rule, at("rule"), faults, "alertRules/", RULE)
    faults.text(at("subject_pattern"), message.subject_pattern, "ai_*", most=MOST_NAME, required=False)
    labels = labels_in(message.labels, at("labels"), faults)
    chosen = bool(rule or message.subject_pattern or labels)
    nothing = "names no rule, no subjects and no labels"
    faults.unless(
        chosen, "alert_silence", nothing, 'rule: "alertRules/queue-long", or subject_pattern: "*" for all'
    )
    faults.text(at("reason"), message.reason, "the database is upgraded", most=MOST_TEXT, required=False)
    until = moment_in(message, "end_time", faults, at("end_time"))
    example = (now + dt.timedelta(hours=2)).strftime("%Y-%m-%dT%H:%M:%SZ")
    if not message.HasField("end_time"):
        faults.add(at("end_time"), "is not set", example)
    elif until is not None:
        in_time = now < until <= now + LONGEST_SILENCE
        faults.unless(in_time, at("end_time"), "must be in the future, at most 90 days from now", example)
    return Silence(rule, message.subject_pattern, labels, until or now, message.reason, actor)
