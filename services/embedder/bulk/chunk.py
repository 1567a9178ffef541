"""Embeds a chunk of texts. A text that the engine can't embed is set aside; the others are embedded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

# Returns the unit vectors of texts of one role, one row each: float32 [n, 1024]. Raises if any of them fails.
Embed = Callable[[Sequence[str], str], NDArray[np.float32]]
NOTHING: NDArray[np.float32] = np.zeros((0, 1024), dtype=np.float32)


@dataclass(frozen=True)
class Passage:
    """The text of a message. The hash shows at writing whether the message still has this text."""

    message_id: str
    content_hash: bytes
    text: str
    role: str


@dataclass(frozen=True)
class Embedded:
    """Passages with their vectors (one row each), and the passages set aside, with their errors."""

    passages: Sequence[Passage] = ()
    vectors: NDArray[np.float32] = field(default_factory=lambda: NOTHING)
    failed: Sequence[tuple[Passage, str]] = ()


def embed_passages(embed: Embed, passages: Sequence[Passage]) -> Embedded:
    """Embeds the passages. A text that several messages of a role share is embedded once."""
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
    """Returns the vectors of the texts that succeed, in their order, and the errors of the others by text.

    A batch that fails is halved until the failing text is alone: about 2 log2(n) extra batches for each.
    """
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
        # The engine raises many types of errors; none of them is a reason to lose the other texts.
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
