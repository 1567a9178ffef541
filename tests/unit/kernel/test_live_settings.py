"""Live settings in a process: defaults first, then what was told, whatever is told wrongly."""

from __future__ import annotations

import asyncio
import datetime as dt

import pytest

from services.kernel.live_keys import CHUNK_CHARACTERS, MOST_WAITING_TOKENS, TASKS_RETENTION
from services.kernel.live_settings import LiveSettings, Told

CHUNKS, WAITING = CHUNK_CHARACTERS.name, MOST_WAITING_TOKENS.name


@pytest.fixture
def live() -> LiveSettings:
    return LiveSettings("embedder")


async def test_before_the_first_contact_every_key_has_its_default(live: LiveSettings) -> None:
    assert live.get(CHUNK_CHARACTERS) == CHUNK_CHARACTERS.default
    assert live.revision == 0
    waiting = asyncio.create_task(live.first_contact())
    await asyncio.sleep(0)
    assert not waiting.done()
    live.take([], 0, complete=True)
    await waiting


def test_what_is_told_is_in_force_and_what_is_not_told_of_stays(live: LiveSettings) -> None:
    live.take([Told(CHUNKS, 5000), Told(WAITING, 4096)], 3, complete=True)
    live.take([Told(CHUNKS, 6000)], 4)
    assert (live.get(CHUNK_CHARACTERS), live.get(MOST_WAITING_TOKENS), live.revision) == (6000, 4096, 4)
    live.take([Told(CHUNKS, None)], 5)
    assert live.get(CHUNK_CHARACTERS) == CHUNK_CHARACTERS.default


def test_a_complete_answer_resets_what_is_not_in_it(live: LiveSettings) -> None:
    live.take([Told(CHUNKS, 5000), Told(WAITING, 4096)], 3)
    live.take([Told(CHUNKS, 7000)], 2, complete=True)
    assert live.get(CHUNK_CHARACTERS) == 7000
    assert live.get(MOST_WAITING_TOKENS) == MOST_WAITING_TOKENS.default


@pytest.mark.parametrize("value", [7, "5000", True, dt.timedelta.max, 10**12])
@pytest.mark.parametrize("complete", [True, False])
def test_a_value_that_this_version_does_not_take_leaves_the_last_one(
    live: LiveSettings, value: int | str | dt.timedelta, complete: bool
) -> None:
    live.take([Told(CHUNKS, 5000)], 1)
    live.take([Told(CHUNKS, value)], 2, complete=complete)
    assert live.get(CHUNK_CHARACTERS) == 5000


def test_keys_of_other_services_and_of_other_versions_are_passed_over(live: LiveSettings) -> None:
    told = [
        Told(TASKS_RETENTION.name, dt.timedelta(days=1)),
        Told("a.key.to.come", 1),
        Told("secrets.a", "x"),
    ]
    live.take(told, 1)
    assert live.get(TASKS_RETENTION) == TASKS_RETENTION.default


def test_who_asked_to_be_called_is_called_by_a_change_and_not_by_a_sign_of_life(live: LiveSettings) -> None:
    called: list[int] = []
    live.on_change(lambda: called.append(live.get(CHUNK_CHARACTERS)))
    live.take([], 0, complete=True)
    live.take([], 1)
    assert called == [CHUNK_CHARACTERS.default]
    live.take([Told(CHUNKS, 5000)], 2)
    assert called == [CHUNK_CHARACTERS.default, 5000]
