"""Rules of alerts as messages of the contract, and requests that make and change them."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from dataclasses import replace

from celeriac.monitor.v1 import alerts_pb2 as pb

from services.kernel.durations import span_in
from services.kernel.grpc.enums import from_wire, wire_values
from services.kernel.grpc.wire import duration, timestamp
from services.kernel.validation import Faults
from services.monitor.alerts.rule import USUAL_CLEAR_SECONDS, Comparison, Rule, Severity
from services.monitor.alerts.runbook import RUNBOOK
from services.monitor.alerts.trial import MOST_SHOWN, Trial
from services.monitor.api.alert_requests import (
    MOST_NAME,
    MOST_TEXT,
    MOST_VALUES,
    RULE,
    SEVERITIES,
    SEVERITIES_FROM_WIRE,
    checked_id,
    labels_in,
)
from services.monitor.measuring.measures import MEASURES

COMPARISONS = wire_values(pb.AlertComparison, Comparison)
COMPARISONS_FROM_WIRE = from_wire(COMPARISONS)
LONGEST = dt.timedelta(hours=24)
MOST_URL = 2_000
AT = "alert_rule."
# The fields that people set, by the names of the contract, with those of `Rule`.
FIELDS = {
    "description": "description",
    "measure": "measure",
    "comparison": "comparison",
    "threshold": "threshold",
    "hold_duration": "hold_seconds",
    "clear_threshold": "clear_threshold",
    "clear_duration": "clear_seconds",
    "severity": "severity",
    "subject_patterns": "subjects",
    "excluded_subject_patterns": "excluded",
    "labels": "labels",
    "paused": "paused",
    "runbook_url": "runbook_url",
}


def rule_to(rule: Rule) -> pb.AlertRule:
    return pb.AlertRule(
        name=f"alertRules/{rule.id}",
        description=rule.description,
        measure=rule.measure,
        comparison=COMPARISONS[rule.comparison],
        threshold=rule.threshold,
        hold_duration=duration(rule.hold_seconds),
        clear_threshold=rule.clear_threshold,
        clear_duration=duration(rule.clear_seconds),
        severity=SEVERITIES[rule.severity],
        subject_patterns=rule.subjects,
        excluded_subject_patterns=rule.excluded,
        labels=rule.labels,
        paused=rule.paused,
        runbook_url=rule.runbook_url,
        standing=rule.standing,
        changed=rule.changed,
        update_time=timestamp(rule.updated_at),
        updated_by=rule.updated_by,
        etag=rule.etag,
    )


def trial_to(trial: Trial) -> pb.AlertTrial:
    return pb.AlertTrial(
        start_time=timestamp(trial.since),
        end_time=timestamp(trial.until),
        alerts=[
            pb.TriedAlert(
                subject=each.subject,
                fire_time=timestamp(each.fired_at),
                end_time=timestamp(each.ended_at),
                worst_value=each.worst,
            )
            for each in trial.tried[:MOST_SHOWN]
        ],
        alert_count=len(trial.tried),
        note=trial.note,
    )


def new_rule_in(message: pb.AlertRule, faults: Faults) -> Rule:
    """Returns the rule of CreateAlertRule."""
    rule_id = checked_id(message.name, f"{AT}name", faults, "alertRules/", RULE)
    return _rule(message, rule_id, faults)


def mask_in(request: pb.UpdateAlertRuleRequest, faults: Faults) -> Sequence[str]:
    """Returns the fields of the contract that are to be changed."""
    named = list(request.update_mask.paths)
    if named == ["*"]:
        return list(FIELDS)
    for path in named:
        fault = f"has {path[:100]!r}, which is no field that can be changed; they are {', '.join(FIELDS)}"
        faults.unless(path in FIELDS, "update_mask", fault, "threshold,paused")
    if not named:
        named = [field.name for field, _ in request.alert_rule.ListFields() if field.name in FIELDS]
        nothing = "has no value that can be changed; to reset a field, name it in update_mask"
        faults.unless(bool(named), "alert_rule", nothing, "threshold: 20")
    return named


def changed_rule(rule: Rule, message: pb.AlertRule, fields: Sequence[str]) -> Rule:
    """Returns the rule with these fields of the message. Raises `Invalid`."""
    merged = rule_to(rule)
    for name in fields:
        merged.ClearField(name)
    chosen = pb.AlertRule()
    chosen.CopyFrom(message)
    for field, _ in message.ListFields():
        if field.name not in fields:
            chosen.ClearField(field.name)
    merged.MergeFrom(chosen)
    faults = Faults()
    changed = _rule(merged, rule.id, faults)
    faults.raise_any()
    return replace(
        changed,
        standing=rule.standing,
        changed=rule.standing,
        updated_at=rule.updated_at,
        updated_by=rule.updated_by,
    )


def _rule(message: pb.AlertRule, rule_id: str, faults: Faults) -> Rule:
    """Returns the rule; a value that is at fault is added to `faults`, and replaced."""
    known = faults.unless(
        message.measure in MEASURES,
        f"{AT}measure",
        f"is {message.measure[:100]!r}, which is no measure; MonitoringService.ListMeasures has them",
        "queue_length",
    )
    comparison = COMPARISONS_FROM_WIRE.get(message.comparison)
    faults.unless(
        comparison is not None, f"{AT}comparison", "is not set, or not known", "ALERT_COMPARISON_AT_LEAST"
    )
    severity = SEVERITIES_FROM_WIRE.get(message.severity)
    faults.unless(severity is not None, f"{AT}severity", "is not set, or not known", "ALERT_SEVERITY_WARNING")
    faults.text(
        f"{AT}description", message.description, "Workers do not keep up.", most=MOST_TEXT, required=False
    )
    faults.unless(math.isfinite(message.threshold), f"{AT}threshold", "is not a finite number", "10")
    _check_runbook(message.runbook_url, faults)
    rule = Rule(
        rule_id,
        message.measure if known else "queue_length",
        comparison or Comparison.ABOVE,
        message.threshold,
        severity or Severity.WARNING,
        message.description,
        _seconds(message, "hold_duration", 0.0, faults),
        message.clear_threshold if message.HasField("clear_threshold") else None,
        _seconds(message, "clear_duration", USUAL_CLEAR_SECONDS, faults),
        _patterns(message.subject_patterns, "subject_patterns", faults),
        _patterns(message.excluded_subject_patterns, "excluded_subject_patterns", faults),
        labels_in(message.labels, f"{AT}labels", faults),
        message.paused,
        message.runbook_url,
    )
    _check_clear_threshold(rule, faults)
    return rule


def _check_runbook(url: str, faults: Faults) -> None:
    """Pages make a link of it: one that runs a script would do so as whoever looks at the alert."""
    field, example = f"{AT}runbook_url", "https://wiki/queues"
    if faults.text(field, url, example, most=MOST_URL, required=False):
        known = not url or url.startswith(("https://", "http://", f"{RUNBOOK}#"))
        faults.unless(known, field, f"is {url[:100]!r}, which does not begin with https://", example)


def _check_clear_threshold(rule: Rule, faults: Faults) -> None:
    end = rule.clear_threshold
    if end is None:
        return
    upward = rule.comparison.is_upward
    well = (
        math.isfinite(end)
        and not rule.is_over(end)
        and (end <= rule.threshold if upward else end >= rule.threshold)
    )
    side = "below" if upward else "above"
    fault = f"is {end:g}, which must be {side} the threshold of {rule.threshold:g}"
    step = max(1.0, abs(rule.threshold) / 10)
    example = f"{rule.threshold - step if upward else rule.threshold + step:g}"
    faults.unless(well, f"{AT}clear_threshold", fault, example)


def _seconds(message: pb.AlertRule, field: str, default: float, faults: Faults) -> float:
    span = span_in(message, field, faults, f"{AT}{field}", "300s")
    if span is None:
        return default
    fault = f"is {span.total_seconds():g} s, it must be 0 s to 24 hours"
    faults.unless(dt.timedelta() <= span <= LONGEST, f"{AT}{field}", fault, "300s")
    return span.total_seconds()


def _patterns(patterns: Sequence[str], field: str, faults: Faults) -> tuple[str, ...]:
    many = f"has {len(patterns)} patterns, at most {MOST_VALUES} are allowed"
    if faults.unless(len(patterns) <= MOST_VALUES, f"{AT}{field}", many, "ai_*"):
        for place, pattern in enumerate(patterns):
            faults.text(f"{AT}{field}[{place}]", pattern, "ai_*", most=MOST_NAME)
    return tuple(patterns)
