"""A chunk of texts into vectors; a text that the engine can't take is set aside, and the rest goes on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

# Texts of one role into unit vectors, one row each: float32 [n, 1024]. Raises when it can't take one.
Embed = Callable[[Sequence[str], str], NDArray[np.float32]]
NOTHING: NDArray[np.float32] = np.zeros((0, 1024), dtype=np.float32)


@dataclass(frozen=True)
class Passage:
    """A message's text as it was read; the hash tells whether it is still the same when it is written."""

    message_id: str
    content_hash: bytes
    text: str
    role: str


@dataclass(frozen=True)
class Embedded:
    """Passages with a vector each (row by row), and those set aside with their error."""

    passages: Sequence[Passage] = ()
    vectors: NDArray[np.float32] = field(default_factory=lambda: NOTHING)
    failed: Sequence[tuple[Passage, str]] = ()


def embed_passages(embed: Embed, passages: Sequence[Passage]) -> Embedded:
    """Each text is embedded once, however many messages have it, and however many texts fail."""
    parts = [
        _embed_role(embed, [passage for passage in passages if passage.role == role])
        for role in sorted({passage.role for passage in passages})
    ]
    return _joined(parts)


def _embed_role(embed: Embed, passages: Sequence[Passage]) -> Embedded:
    role = passages[0].role
    texts = list(dict.fromkeys(passage.text for passage in passages))
    vectors, errors = _isolating(lambda some: embed(some, role), texts)
    row_of = {text: row for row, text in enumerate(text for text in texts if text not in errors)}
    good = [passage for passage in passages if passage.text not in errors]
    return Embedded(
        passages=good,
        vectors=vectors[[row_of[passage.text] for passage in good]],
        failed=[(passage, errors[passage.text]) for passage in passages if passage.text in errors],
    )


def _isolating(
    embed: Callable[[Sequence[str]], NDArray[np.float32]], texts: Sequence[str]
) -> tuple[NDArray[np.float32], dict[str, str]]:
    """Halves a batch that fails until the text that fails stands alone: about 2 log2(n) extra batches."""
    if not texts:
        return NOTHING, {}
    try:
        vectors = embed(texts)
        if np.isfinite(vectors).all():
            return vectors, {}
        error = "the model gave a vector that is not finite"
    except MemoryError:
        raise
    except Exception as raised:
        # The engine's own errors are of many kinds, and none of them is a reason to lose the other texts.
        error = f"{type(raised).__name__}: {raised}"[:1000]
    if len(texts) == 1:
        return NOTHING, {texts[0]: error}
    middle = len(texts) // 2
    first, first_errors = _isolating(embed, texts[:middle])
    second, second_errors = _isolating(embed, texts[middle:])
    return np.concatenate([first, second]), first_errors | second_errors


def _joined(parts: Sequence[Embedded]) -> Embedded:
    if not parts:
        return Embedded()
    return Embedded(
        passages=[passage for part in parts for passage in part.passages],
        vectors=np.concatenate([part.vectors for part in parts]),
        failed=[failure for part in parts for failure in part.failed],
    )
