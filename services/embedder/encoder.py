"""What the bulk path and the search know of a model: its identity, and texts into vectors."""

from __future__ import annotations

from dataclasses import dataclass

from services.embedder.bulk import Embed


@dataclass(frozen=True)
class Encoder:
    """A loaded model. `model` is its name and digest: vectors of two models are never compared."""

    model: str
    embed: Embed
