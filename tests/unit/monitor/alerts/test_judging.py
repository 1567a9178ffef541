"""When a rule fires and ends, reading by reading."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from services.monitor.alerts.judging import GONE, WELL, Ends, Fires, GoesOn, Judge, Verdict
from services.monitor.alerts.rule import Comparison, Rule, Severity
from services.monitor.measuring.measures import Reading

START = dt.datetime(2026, 11, 30, 12, 0, tzinfo=dt.UTC)
RULE = Rule(
    "queue-long",
    "queue_length",
    Comparison.AT_LEAST,
    10,
    Severity.WARNING,
    hold_seconds=20,
    clear_threshold=8,
    clear_seconds=20,
)


def at(seconds: float, **lengths: float) -> Reading:
    return Reading(START + dt.timedelta(seconds=seconds), {"queue_length": lengths})


def unknown(seconds: float) -> Reading:
    return Reading(START + dt.timedelta(seconds=seconds), {})


def judged(rule: Rule, *readings: Reading) -> list[list[Verdict]]:
    """The verdicts of each reading; what fires goes on to fire until it ends."""
    judge, firing, told = Judge(rule), set[str](), []
    for reading in readings:
        verdicts = list(judge.judge(reading, firing))
        for verdict in verdicts:
            if isinstance(verdict, Fires):
                firing.add(verdict.subject)
            elif isinstance(verdict, Ends):
                firing.discard(verdict.subject)
        told.append(verdicts)
    return told


def test_it_fires_when_the_value_has_been_over_for_long_enough() -> None:
    told = judged(RULE, at(0, mail=9), at(10, mail=10), at(20, mail=50), at(30, mail=12))
    assert told == [[], [], [], [Fires("mail", START + dt.timedelta(seconds=10), 12)]]


def test_a_well_value_in_between_begins_the_time_again() -> None:
    assert judged(RULE, at(0, mail=10), at(10, mail=9), at(20, mail=10), at(30, mail=10))[-1] == []


def test_it_ends_only_after_the_value_has_come_back_far_enough_for_long_enough() -> None:
    begun = [at(0, mail=10), at(10, mail=10), at(20, mail=10)]
    told = judged(
        RULE, *begun, at(30, mail=9), at(40, mail=8), at(50, mail=9), at(60, mail=8), at(80, mail=0)
    )
    assert told[2] == [Fires("mail", START, 10)]
    assert told[3:7] == [[GoesOn("mail", value)] for value in (9, 8, 9, 8)]
    assert told[7] == [Ends("mail", WELL)]


def test_each_subject_is_judged_by_itself() -> None:
    at_once = replace(RULE, hold_seconds=0)
    told = judged(at_once, at(0, mail=10, chat=3), at(10, mail=11, chat=30))
    assert told == [
        [Fires("mail", START, 10)],
        [GoesOn("mail", 11), Fires("chat", START + dt.timedelta(seconds=10), 30)],
    ]


def test_a_subject_that_is_gone_ends_its_alert() -> None:
    told = judged(replace(RULE, hold_seconds=0), at(0, mail=10), at(10), at(30))
    assert told == [[Fires("mail", START, 10)], [], [Ends("mail", GONE)]]


def test_what_is_not_known_neither_fires_nor_ends_anything() -> None:
    at_once = replace(RULE, hold_seconds=0, clear_seconds=0)
    assert judged(at_once, at(0, mail=10), unknown(10), unknown(20)) == [[Fires("mail", START, 10)], [], []]
    # A minute without a reading is no minute over the threshold.
    assert judged(RULE, at(0, mail=10), unknown(10), at(90, mail=10))[-1] == []


def test_only_the_subjects_of_the_rule_are_looked_at() -> None:
    chosen = replace(RULE, hold_seconds=0, subjects=("ai_*",), excluded=("ai_test",))
    told = judged(chosen, at(0, ai_analysis=10, ai_test=10, mail=10))
    assert [verdict.subject for verdict in told[0]] == ["ai_analysis"]


def test_a_rule_about_low_values_works_the_other_way_round() -> None:
    low = Rule(
        "success-low",
        "success_percent",
        Comparison.BELOW,
        95,
        Severity.WARNING,
        clear_threshold=97,
        clear_seconds=0,
    )
    readings = [
        Reading(START + dt.timedelta(seconds=10 * step), {"success_percent": {"": value}})
        for step, value in enumerate((95, 94.9, 96, 97))
    ]
    told = judged(low, *readings)
    assert [type(each[0]).__name__ if each else "" for each in told] == ["", "Fires", "GoesOn", "Ends"]
    assert low.worse(94, 93) == 93


@given(st.lists(st.one_of(st.none(), st.floats(0, 20)), max_size=40))
def test_an_alert_never_fires_twice_and_ends_only_after_it_fired(values: list[float | None]) -> None:
    readings = [
        unknown(10 * place) if value is None else at(10 * place, mail=value)
        for place, value in enumerate(values)
    ]
    fires = False
    for verdict in (verdict for told in judged(RULE, *readings) for verdict in told):
        assert isinstance(verdict, Fires) is not fires
        fires = not isinstance(verdict, Ends)
