"""Entries and checkpoints come to the verification in one order, whatever their pages and gaps."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator, Sequence
from typing import TypeVar

from hypothesis import given
from hypothesis import strategies as st

from services.audit.state import StoredCheckpoint
from services.audit.verification import in_turn

Item = TypeVar("Item")
NOON = dt.datetime(2026, 11, 24, 12, tzinfo=dt.UTC)
numbers = st.lists(st.integers(-5, 60), unique=True).map(sorted)


async def in_pages(items: Sequence[Item], length: int) -> AsyncIterator[Sequence[Item]]:
    for start in range(0, len(items), length):
        yield items[start : start + length]


@given(indexes=numbers, sizes=numbers, length=st.integers(1, 7), other_length=st.integers(1, 7))
async def test_a_checkpoint_of_n_entries_comes_before_the_entry_with_index_n(
    indexes: list[int], sizes: list[int], length: int, other_length: int
) -> None:
    rows = [{"index": index} for index in indexes]
    checkpoints = [StoredCheckpoint(size, b"", (), "", NOON) for size in sizes]
    seen_rows: list[int] = []
    seen_sizes: list[int] = []
    pairs = in_turn(in_pages(rows, length), in_pages(checkpoints, other_length))
    async for some_rows, some_checkpoints in pairs:
        assert len(some_rows) <= length
        assert len(some_checkpoints) <= other_length
        first = min([row["index"] for row in some_rows], default=None)
        assert all(size <= first for size in sizes if first is not None and size in seen_sizes)
        assert all(index < checkpoint.size for checkpoint in some_checkpoints for index in seen_rows)
        seen_rows += [row["index"] for row in some_rows]
        seen_sizes += [checkpoint.size for checkpoint in some_checkpoints]
    assert (seen_rows, seen_sizes) == (indexes, sizes)
