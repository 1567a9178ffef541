"""Batches: every text once, little padding, bounded memory, vectors in their places."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from services.embedder.model.packing import Tokens, batches, embed_tokens

lengths = st.lists(st.integers(1, 600), max_size=200)
budgets = st.integers(16, 4096)


@given(lengths, budgets)
def test_every_text_is_in_one_batch(lengths: list[int], budget: int) -> None:
    placed = [position for batch in batches(lengths, budget) for position in batch]
    assert sorted(placed) == list(range(len(lengths)))


@given(lengths, budgets)
def test_no_batch_is_over_the_budget_unless_its_one_text_is(lengths: list[int], budget: int) -> None:
    for batch in batches(lengths, budget):
        area = len(batch) * max(lengths[position] for position in batch)
        assert area <= budget or len(batch) == 1


@given(lengths, budgets)
def test_no_two_neighbours_would_fit_into_one_batch(lengths: list[int], budget: int) -> None:
    cut = [[lengths[position] for position in batch] for batch in batches(lengths, budget)]
    for first, second in itertools.pairwise(cut):
        assert min(first) >= max(second)
        assert max(first) * (len(first) + 1) > budget


def test_alike_texts_are_nearly_without_padding() -> None:
    random = np.random.default_rng(3)
    lengths = np.clip(random.lognormal(3, 0.7, 2000), 4, 512).astype(int).tolist()
    area = sum(len(batch) * lengths[batch[0]] for batch in batches(lengths, 512))
    assert sum(lengths) / area > 0.97


def run(batch: Sequence[Tokens]) -> NDArray[np.float32]:
    rows = [[int(text.ids[0])] * 1024 for text in batch]
    return np.array(rows, dtype=np.float32)


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 40))), budgets)
def test_each_vector_is_its_texts_and_identical_texts_run_once(
    texts: list[tuple[int, int]], budget: int
) -> None:
    seen: list[tuple[int, int]] = []

    def counting(batch: Sequence[Tokens]) -> NDArray[np.float32]:
        seen.extend((int(text.ids[0]), len(text)) for text in batch)
        return run(batch)

    tokens = [Tokens(np.full(length, number)) for number, length in texts]
    vectors = embed_tokens(counting, tokens, budget)
    assert vectors.shape == (len(texts), 1024)
    assert vectors[:, 0].tolist() == [number for number, _ in texts]
    assert sorted(seen) == sorted(set(texts))
