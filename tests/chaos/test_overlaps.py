"""Schedules whose runs may not overlap, under fire: no two go at once, and each due time is accounted for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import pytest

from services.scheduler.schedule.definition import Overlap
from tests.chaos.exclusive import SKIPPED, by_schedule, overlapping
from tests.chaos.fire import SECONDS, Aftermath, SeenRun
from tests.chaos.load import task_id

pytestmark = pytest.mark.timeout(SECONDS + 300)


def runs_of(aftermath: Aftermath, policies: Iterable[Overlap] = Overlap) -> list[tuple[Overlap, SeenRun]]:
    policy = {each.definition.id: each.definition.overlap for each in aftermath.exclusives}
    runs = aftermath.history.of(aftermath.exclusives).runs
    return [(policy[run.schedule], run) for run in runs if policy[run.schedule] in policies]


def test_no_run_is_sent_while_another_of_its_schedule_is_going(aftermath: Aftermath) -> None:
    assert overlapping(aftermath.exclusives, aftermath.works) == [], aftermath.told


def test_each_due_time_is_published_exactly_once_or_passed_over_with_its_reason(aftermath: Aftermath) -> None:
    told = aftermath.told
    aftermath.history.of(aftermath.exclusives).check(aftermath.exclusives, told)
    runs = runs_of(aftermath)
    waiting = [run for _, run in runs if run.state == "waiting"]
    assert waiting == [], told
    published = [task_id(run.schedule, run.due) for _, run in runs if run.state == "published"]
    assert Counter(work.task_id for work in aftermath.works) == Counter(published), told
    others = [(policy, run) for policy, run in runs if run.state != "published"]
    unexplained = [
        run for policy, run in others if run.state != "skipped" or not SKIPPED[policy].search(run.reason)
    ]
    assert unexplained == [], told
    # Else nothing was tried.
    seen = {(policy, run.state) for policy, run in runs}
    assert seen == {(policy, state) for policy in SKIPPED for state in ("published", "skipped")}, told


def test_what_waits_its_turn_is_published_and_names_what_it_waited_for(aftermath: Aftermath) -> None:
    runs = [run for _, run in runs_of(aftermath, [Overlap.QUEUE])]
    turns = [run for run in runs if "; waits: " in run.reason or "; waited: " in run.reason]
    assert turns, aftermath.told
    passed_over = [run for run in turns if run.state != "published" or "; waits: " in run.reason]
    assert passed_over == [], aftermath.told


def test_a_due_time_is_passed_over_only_for_a_run_that_is_recorded(aftermath: Aftermath) -> None:
    moments = {(run.schedule, f"{run.due:%Y-%m-%d %H:%M:%S}"): run.state for _, run in runs_of(aftermath)}
    for policy, run in runs_of(aftermath):
        if run.state == "skipped":
            found = SKIPPED[policy].search(run.reason)
            assert found is not None, aftermath.told
            state = moments[run.schedule, found[1]]
            # One that took another's place may have lost it to the next.
            assert state == "published" or policy is Overlap.CANCEL, (run, aftermath.told)


def test_only_what_is_to_make_way_is_terminated_and_the_newest_goes(aftermath: Aftermath) -> None:
    cancelling = {
        each.definition.id for each in aftermath.exclusives if each.definition.overlap is Overlap.CANCEL
    }
    for schedule, works in by_schedule(aftermath.exclusives, aftermath.works).items():
        killed = [work for work in works if work.revoked]
        assert bool(killed) == (schedule in cancelling), (schedule, aftermath.told)
    newest = {each.definition.id: each.due[-1] for each in aftermath.exclusives}
    last = [run for _, run in runs_of(aftermath, [Overlap.CANCEL]) if run.due == newest[run.schedule]]
    assert {run.state for run in last} == {"published"}, aftermath.told
