"""What waits for one socket: the newest figures and workers, and a bounded stretch of changes."""

from __future__ import annotations

import json

import pytest

from services.door.callers import Caller
from services.door.live.listener import MOST_BYTES, Listener
from services.kernel.errors import CeleriacError
from services.kernel.identity import Identity, Role

MEI = Caller(Identity("mei", Role.ADMIN, "test"), "token")


async def test_of_figures_and_workers_the_newest_is_sent_and_before_changes_of_tasks() -> None:
    listener = Listener(MEI)
    listener.put_tasks("tasks", 1)
    listener.put_newest("metrics", "old figures")
    listener.put_newest("workers/a", "a is there")
    listener.put_newest("metrics", "new figures")
    listener.put_first("hello")
    sent = [await listener.next_text(0) for _ in range(5)]
    assert sent == ["hello", "a is there", "new figures", "tasks", None]


async def test_who_does_not_read_costs_a_bounded_amount_and_is_told_what_was_left_out() -> None:
    listener = Listener(MEI)
    piece = "x" * 10_000
    for _ in range(1_000):
        listener.put_tasks(piece, 7)
    taken: list[str] = []
    while (text := await listener.next_text(0)) is not None:
        taken.append(text)
    whole = [text for text in taken if text == piece]
    assert sum(map(len, whole)) <= MOST_BYTES + len(piece)
    assert json.loads(taken[-1]) == {"type": "skipped", "data": {"count": 7 * (1_000 - len(whole))}}
    listener.put_tasks("again", 1)
    assert await listener.next_text(0) == "again"


async def test_nothing_of_a_subscription_that_was_replaced_is_sent() -> None:
    listener = Listener(MEI)
    listener.put_tasks("x" * (MOST_BYTES + 1), 1)
    listener.put_tasks("left out", 1)
    listener.put_newest("metrics", "figures")
    listener.forget()
    listener.put_first("hello")
    listener.put_tasks("tasks", 1)
    assert [await listener.next_text(0) for _ in range(3)] == ["hello", "tasks", None]


async def test_an_error_ends_it_before_anything_that_waits() -> None:
    listener = Listener(MEI)
    listener.put_first("hello")
    listener.fail(CeleriacError("TOKEN_EXPIRED", "the token has expired"))
    with pytest.raises(CeleriacError, match="expired"):
        await listener.next_text(0)
