"""Many alerts, and trials on many values: bounded, and beside other work."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Sequence

import pytest

from services.kernel.database import Database
from services.monitor.alerts import evaluating
from services.monitor.alerts.channels import Channels
from services.monitor.alerts.evaluating import Evaluating
from services.monitor.alerts.rule import Comparison, Rule, Severity
from services.monitor.alerts.rules import Rules
from services.monitor.alerts.store_alerts import AlertStore
from services.monitor.alerts.store_rules import RuleStore
from services.monitor.measuring.measures import Reading

NOW = dt.datetime(2026, 11, 30, 12, tzinfo=dt.UTC)
STEP = dt.timedelta(seconds=10)


def a_rule(rule_id: str) -> Rule:
    return Rule(rule_id, "queue_length", Comparison.ABOVE, 1, Severity.INFO, clear_seconds=0)


async def test_no_more_alerts_fire_than_are_read_and_all_of_them_end(
    own_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluating, "MOST_FIRING", 15)
    database = Database(own_database_url)
    try:
        async with database.transaction() as connection:
            for rule_id in ("one", "two"):
                await RuleStore(connection).put(a_rule(rule_id), "mei")
        evaluator = Evaluating(database, Channels(None), lambda: True, lambda: None, "")
        for place, (length, firing) in enumerate([(2, 15), (2, 15), (0, 0)]):
            queues = {f"queue{number}": float(length) for number in range(10)}
            await evaluator.take(Reading(NOW + place * STEP, {"queue_length": queues}))
            async with database.reading() as connection:
                assert len(await AlertStore(connection).firing()) == firing
    finally:
        await database.close()


async def test_a_trial_on_many_values_leaves_the_event_loop_to_others(own_database_url: str) -> None:
    queues = {f"queue{number}": 0.0 for number in range(200)}
    day = [Reading(NOW + place * STEP, {"queue_length": queues}) for place in range(2_000)]

    async def past(measure: str, since: dt.datetime) -> Sequence[Reading]:
        return day

    rounds = 0

    async def work() -> None:
        nonlocal rounds
        while True:
            await asyncio.sleep(0.001)
            rounds += 1

    database = Database(own_database_url)
    others = asyncio.create_task(work())
    try:
        trial = await Rules(database, past).tried(a_rule("tried"))
    finally:
        others.cancel()
        await database.close()
    assert (trial.since, trial.until, trial.tried) == (day[0].time, day[-1].time, [])
    assert rounds > 0
