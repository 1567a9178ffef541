"""Rules as values, the standing ones, and what people read of them."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from services.monitor.alerts.rule import Comparison, Rule, Severity, matches, rule_of
from services.monitor.alerts.runbook import link
from services.monitor.alerts.standing import STANDING
from services.monitor.alerts.trial import NONE_KEPT, trial_of
from services.monitor.alerts.words import shown
from services.monitor.measuring.measures import MEASURES, Reading, Unit

START = dt.datetime(2026, 11, 30, 12, 0, tzinfo=dt.UTC)


@pytest.mark.parametrize("rule", STANDING.values(), ids=list(STANDING))
def test_each_standing_rule_is_sound_and_has_its_chapter_of_the_runbook(rule: Rule) -> None:
    assert rule.measure in MEASURES
    assert rule.standing
    assert rule.description.endswith(".")
    if rule.clear_threshold is not None:
        assert rule.is_well(rule.clear_threshold)
        assert not rule.is_over(rule.clear_threshold)
    for page in ("runbook.md", "runbook.zh-TW.md"):
        assert f"\n## {rule.id}\n" in Path("docs", page).read_text(encoding="utf-8"), page


def test_the_normal_values_of_the_platform_are_watched() -> None:
    told = {name: (rule.measure, rule.comparison, rule.threshold) for name, rule in STANDING.items()}
    assert told["success-low"] == ("success_percent", Comparison.BELOW, 95)
    assert told["runtime-long"] == ("mean_runtime_seconds", Comparison.AT_LEAST, 30)
    assert told["queue-long"] == ("queue_length", Comparison.AT_LEAST, 10)
    assert told["worker-memory-high"] == ("worker_memory_bytes", Comparison.ABOVE, 512 * 1024 * 1024)
    assert told["scheduler-late"] == ("scheduler_late_seconds", Comparison.AT_LEAST, 5)


@pytest.mark.parametrize("rule", STANDING.values(), ids=list(STANDING))
def test_a_rule_is_the_same_after_it_was_stored(rule: Rule) -> None:
    again = rule_of(rule.id, rule.values(), standing=True)
    assert again == rule
    assert again.etag == rule.etag


def test_a_pattern_has_one_wildcard() -> None:
    assert matches("ai_*", "ai_analysis")
    assert matches("*", "")
    assert not matches("ai_?", "ai_b")
    assert matches("odd[1]?", "odd[1]?")


@pytest.mark.parametrize(
    ("value", "unit", "words"),
    [
        (536870912, Unit.BYTES, "512 MiB"),
        (97.531, Unit.PERCENT, "97.53 %"),
        (90, Unit.SECONDS, "90 s"),
        (600, Unit.SECONDS, "10 min"),
        (1_209_600, Unit.SECONDS, "14 d"),
        (1234567, Unit.COUNT, "1234567"),
    ],
)
def test_values_are_shown_with_their_units(value: float, unit: Unit, words: str) -> None:
    assert shown(value, unit) == words


def test_links_lead_to_where_people_read_the_runbook() -> None:
    assert link("docs/runbook.md#queue-long", "https://wiki/runbook") == "https://wiki/runbook#queue-long"
    assert link("https://elsewhere/x", "https://wiki/runbook") == "https://elsewhere/x"


def test_a_trial_tells_when_the_rule_would_have_fired() -> None:
    rule = Rule("r", "queue_length", Comparison.AT_LEAST, 10, Severity.INFO, hold_seconds=10, clear_seconds=0)
    lengths = (0, 12, 30, 20, 1, 0, 15, 15)
    readings = [
        Reading(START + dt.timedelta(seconds=10 * place), {"queue_length": {"mail": length}})
        for place, length in enumerate(lengths)
    ]
    trial = trial_of(rule, readings)
    assert (trial.since, trial.until) == (START, START + dt.timedelta(seconds=70))
    second, first = trial.tried
    assert (first.fired_at, first.ended_at) == (
        START + dt.timedelta(seconds=20),
        START + dt.timedelta(seconds=40),
    )
    assert first.worst == 30
    assert (second.fired_at, second.ended_at) == (START + dt.timedelta(seconds=70), None)
    assert trial_of(rule, []).note == NONE_KEPT
