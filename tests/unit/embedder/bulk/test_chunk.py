"""A chunk's texts into vectors, whatever texts are among them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from services.embedder.bulk.chunk import Passage, embed_passages


def embed(texts: Sequence[str], role: str) -> NDArray[np.float32]:
    """Rows that tell text and role apart."""
    if "poison" in texts:
        raise ValueError("can't be tokenised")
    offset = 1000 if role == "assistant" else 0
    numbers = [float("nan") if text == "not finite" else int(text) + offset for text in texts]
    rows: NDArray[np.float32] = np.repeat(np.array(numbers, dtype=np.float32)[:, None], 1024, axis=1)
    return rows


some_passages = st.lists(
    st.tuples(
        st.sampled_from(["1", "2", "3", "4", "poison", "not finite"]), st.sampled_from(["user", "assistant"])
    )
).map(lambda pairs: [Passage(str(n), b"", text, role) for n, (text, role) in enumerate(pairs)])


@given(some_passages)
def test_every_text_gets_its_own_vector_or_its_error(passages: list[Passage]) -> None:
    embedded = embed_passages(embed, passages)
    assert len(embedded.passages) == len(embedded.vectors)
    for passage, vector in zip(embedded.passages, embedded.vectors, strict=True):
        assert vector[0] == int(passage.text) + (1000 if passage.role == "assistant" else 0)
    errors = {"poison": "ValueError: can't be tokenised", "not finite": "not finite"}
    assert all(errors[passage.text] in error for passage, error in embedded.failed)
    seen = [passage.message_id for passage in embedded.passages] + [
        one.message_id for one, _ in embedded.failed
    ]
    assert sorted(seen) == sorted(passage.message_id for passage in passages)


def test_identical_texts_are_embedded_once() -> None:
    sizes = []

    def counting(texts: Sequence[str], role: str) -> NDArray[np.float32]:
        sizes.append(len(texts))
        return embed(texts, role)

    embed_passages(counting, [Passage(str(n), b"", "1", "user") for n in range(9)])
    assert sizes == [1]
