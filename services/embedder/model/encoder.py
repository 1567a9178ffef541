"""What the service and its workers know of a model, whichever engine runs it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from services.embedder.messages.messages import Role
from services.embedder.model.packing import Tokens, embed_tokens

DIMENSIONS = 1024
# Characters of a digest that are in a vector's model: enough that two never meet.
IDENTITY_DIGITS = 16


class InputType(Enum):
    """What a text is, which models with prefixes tell apart."""

    QUERY = "query"
    PASSAGE = "passage"


class Pooling(Enum):
    """How the tokens' vectors become the text's."""

    MEAN = "mean"
    CLS = "cls"
    LAST_TOKEN = "last_token"
    # Done by the graph, which does not say how.
    UNKNOWN = "unknown"


# People ask questions, assistants answer them.
TYPE_OF_ROLE = {Role.USER: InputType.QUERY, Role.ASSISTANT: InputType.PASSAGE}


@dataclass(frozen=True)
class ModelFacts:
    """What a model is. Vectors of two digests are never compared."""

    name: str
    digest: str
    pooling: Pooling
    max_tokens: int
    prefixes: dict[InputType, str]
    providers: Sequence[str]

    @property
    def identity(self) -> str:
        return f"{self.name}@{self.digest[:IDENTITY_DIGITS]}"


class Model(Protocol):
    """A loaded model. Its methods block, and may be called from any thread."""

    @property
    def facts(self) -> ModelFacts: ...

    def tokens(self, texts: Sequence[str], input_type: InputType) -> list[Tokens]:
        """Each text's tokens, with its prefix, cut at the model's maximum."""

    def run(self, batch: Sequence[Tokens]) -> NDArray[np.float32]:
        """Unit vectors, a row each: float32 [n, 1024]."""


class Encoder:
    """Texts into vectors, as the bulk path wants it."""

    def __init__(self, model: Model, batch_tokens: int) -> None:
        self.model = model.facts.identity
        self._model = model
        self._batch_tokens = batch_tokens

    def embed(self, texts: Sequence[str], role: str) -> NDArray[np.float32]:
        """Texts of one role into unit vectors, a row each: float32 [n, 1024]."""
        tokens = self._model.tokens(texts, TYPE_OF_ROLE[Role(role)])
        return embed_tokens(self._model.run, tokens, self._batch_tokens)
