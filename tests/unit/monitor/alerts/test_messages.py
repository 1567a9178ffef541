"""What people are told of alerts."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

from services.monitor.alerts.messages import MOST_TOLD, body_of, kind_of, title_of
from services.monitor.alerts.rule import Severity
from services.monitor.alerts.silence import Silence, silenced
from tests.support.alerts import FIRED_AT, an_alert

TAIPEI = ZoneInfo("Asia/Taipei")
ENDED = an_alert(
    id=2, ended_at=FIRED_AT + dt.timedelta(minutes=5), end_reason="the value is well again", last=3.0
)


def test_the_title_counts() -> None:
    fires = an_alert(id=1)
    assert title_of([fires]) == "Celeriac: 1 alert fires"
    assert title_of([fires, fires, ENDED]) == "Celeriac: 2 alerts fire, 1 has ended"
    assert title_of([ENDED]) == "Celeriac: 1 alert has ended"
    assert title_of([ENDED, ENDED]) == "Celeriac: 2 alerts have ended"


def test_the_text_says_what_is_wrong_since_when_and_what_to_do() -> None:
    assert body_of([an_alert()], TAIPEI) == (
        "WARNING  queue-long: queue_length of 'ai_analysis' is 14, at least 10\n"
        "since 2026-11-30 20:00:00 Asia/Taipei; fires since 2026-11-30 20:00:30 Asia/Taipei\n"
        "Workers do not keep up.\n"
        "What to do: https://wiki/runbook#queue-long\n"
        "team=rvt\n"
        "alerts/17"
    )


def test_the_most_severe_comes_first_and_what_ended_last() -> None:
    text = body_of([ENDED, an_alert(id=3), an_alert(id=4, severity=Severity.CRITICAL)], TAIPEI)
    heads = [paragraph.split()[0] for paragraph in text.split("\n\n")]
    assert heads == ["CRITICAL", "WARNING", "ENDED"]
    assert (
        "from 2026-11-30 20:00:00 Asia/Taipei until 2026-11-30 20:05:30 Asia/Taipei: the value is well again"
        in text
    )


def test_of_very_many_it_tells_how_many_more() -> None:
    text = body_of([an_alert(id=number) for number in range(MOST_TOLD + 5)], TAIPEI)
    assert text.endswith("… and 5 more: `celeriac alerts list`")
    assert text.count("queue-long: ") == MOST_TOLD


def test_a_silence_is_about_its_rule_its_subjects_and_its_labels() -> None:
    until, alert = FIRED_AT + dt.timedelta(hours=1), an_alert()
    about = [
        Silence("queue-long", "", {}, until),
        Silence("", "ai_*", {}, until),
        Silence("", "", {"team": "rvt"}, until),
    ]
    others = [
        Silence("disk-full", "", {}, until),
        Silence("", "mail", {}, until),
        Silence("", "*", {"team": "x"}, until),
    ]
    assert all(silenced(alert, [silence]).silenced_until == until for silence in about)
    assert all(silenced(alert, [silence]).silenced_until is None for silence in others)


def test_a_message_is_of_the_kind_of_the_most_severe_that_fires() -> None:
    info, critical = an_alert(severity=Severity.INFO), an_alert(severity=Severity.CRITICAL)
    told = ([info], [an_alert()], [info, critical], [ENDED, info], [ENDED])
    assert [kind_of(alerts) for alerts in told] == ["info", "warning", "failure", "info", "success"]
