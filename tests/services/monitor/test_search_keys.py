"""Whatever stands in a text is found by its keys, and blocks hold the keys that a search asks for."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.monitor.search.building import blocks_of
from services.monitor.search.grams import Group, Searched, groups_of
from services.monitor.search.postings import MOST_BYTES, MOST_TASKS, Found, in_all, newest_first
from services.monitor.tasks.names import WorkerName
from services.monitor.tasks.store_listing import TaskFilter
from services.monitor.tasks.tasks import TaskState

# Letters of which the same grams come often, wide ones, and all others that PostgreSQL stores.
TEXTS = st.text(st.sampled_from("ab 1é中文🦊") | st.characters(exclude_characters="\0", codec="utf-8"))


def searched(text: str, exception: str = "", state: str = "SUCCESS", queue: str = "") -> Searched:
    kind = exception.partition("(")[0]
    return Searched(text, exception, state, "add", queue, "celery@host", "celery@host~7", kind)


def found(blocks: Sequence[tuple[int, bytes]], groups: Sequence[Group]) -> list[int]:
    """The tasks that a search for the groups finds, which reads the blocks as the table gives them."""
    firsts = [first for first, _ in blocks]
    having = []
    for group in groups:
        having.append(Found())
        for keys in group:
            begin = max(bisect_right(firsts, keys.low) - 1, 0)
            for first, block in blocks[begin : bisect_right(firsts, keys.high)]:
                having[-1].take(first, block, keys)
    together = newest_first(in_all(having))
    # One after the other they give the same.
    tasks = None
    for each in having:
        tasks = in_all([each], tasks)
    assert tasks is not None and newest_first(tasks) == together
    return together


def found_by_text(blocks: Sequence[tuple[int, bytes]], text: str, *, exceptions: bool = False) -> list[int]:
    return found(blocks, groups_of(TaskFilter(text=text, only_exceptions=exceptions), text))


@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=40), st.data())
def test_every_part_of_a_text_finds_it(texts: list[tuple[str, str]], data: st.DataObject) -> None:
    blocks = blocks_of([searched(f"{text} {exception}", exception) for text, exception in texts])
    number = data.draw(st.integers(0, len(texts) - 1))
    text, exception = texts[number]
    whole = f"{text} {exception}"
    begin, end = sorted(data.draw(st.tuples(*[st.integers(0, len(whole))] * 2)))
    if begin < end:
        assert number in found_by_text(blocks, whole[begin:end])
    if exception:
        end = data.draw(st.integers(1, len(exception)))
        assert number in found_by_text(blocks, exception[:end], exceptions=True)


MANY = [
    searched(
        f"order {number} timeout 处理失败 {'vector rebuild' if number % 3 else 'rebuild vector'}",
        f"keyerror({number})" if number % 100 == 0 else "",
        "FAILURE" if number % 100 == 0 else "SUCCESS",
        f"queue-{number % 50}",
    )
    for number in range(MOST_TASKS)
]


@pytest.fixture(scope="module")
def many() -> Sequence[tuple[int, bytes]]:
    return blocks_of(MANY)


@pytest.mark.parametrize(
    "text",
    # Of one character on; in all tasks, in some, in one, and in none although each part of it is in many.
    [
        "o",
        "失",
        "ti",
        "失败",
        "timeout",
        "order 777 ",
        "vector rebuild",
        "8191",
        "rebuild order",
        "败失",
        "zz",
    ],
)
def test_few_are_found_in_vain(many: Sequence[tuple[int, bytes]], text: str) -> None:
    having = {number for number, task in enumerate(MANY) if text in task.text}
    numbers = found_by_text(many, text)
    assert numbers == sorted(numbers, reverse=True)
    assert having <= set(numbers)
    assert len(numbers) <= len(having) + MOST_TASKS / 100


def test_an_exception_is_told_from_other_texts(many: Sequence[tuple[int, bytes]]) -> None:
    failed = list(range(MOST_TASKS - MOST_TASKS % 100, -1, -100))
    assert found_by_text(many, "keyerror", exceptions=True) == failed
    assert found_by_text(many, "timeout", exceptions=True) == []


def test_values_of_filters_are_joined_within_one_and_cut_across_several(
    many: Sequence[tuple[int, bytes]],
) -> None:
    wanted = TaskFilter(
        states=[TaskState.FAILURE], queues=["queue-0", "queue-7"], workers=[WorkerName("celery@host", 7)]
    )
    assert found(many, groups_of(wanted, "")) == list(range(8100, -1, -100))
    assert found(many, groups_of(TaskFilter(workers=[WorkerName("celery@host", 8)]), "")) == []
    failures = TaskFilter(exception_types=["keyerror"], queues=["queue-0"])
    assert found(many, groups_of(failures, "")) == list(range(8100, -1, -100))
    both = TaskFilter(states=[TaskState.FAILURE], text="order 8100")
    assert found(many, groups_of(both, "order 8100")) == [8100]


def test_blocks_are_small_enough_to_be_stored_in_their_rows(many: Sequence[tuple[int, bytes]]) -> None:
    assert max(len(block) for _, block in many) <= MOST_BYTES
    assert sum(len(block) for _, block in many) < 200 * MOST_TASKS
