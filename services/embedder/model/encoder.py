"""The interface of a model for the service and its workers, independent of the engine that runs it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from services.embedder.messages.messages import Role
from services.embedder.model.packing import Tokens, embed_tokens

DIMENSIONS = 1024
# Characters of the digest in a model's identity: enough to make a collision practically impossible.
IDENTITY_DIGITS = 16


class InputType(Enum):
    """The use of a text. Some models put a different prefix before each."""

    QUERY = "query"
    PASSAGE = "passage"


class Pooling(Enum):
    """How a text's vector is computed from the vectors of its tokens."""

    MEAN = "mean"
    CLS = "cls"
    LAST_TOKEN = "last_token"
    # The graph does the pooling, and nothing says how.
    UNKNOWN = "unknown"


# People ask questions, assistants answer them.
TYPE_OF_ROLE = {Role.USER: InputType.QUERY, Role.ASSISTANT: InputType.PASSAGE}


def identity(name: str, digest: str) -> str:
    """Returns what vectors are stored with: a model's name and the digest (hex) of its files."""
    return f"{name}@{digest[:IDENTITY_DIGITS]}"


@dataclass(frozen=True)
class ModelFacts:
    """The properties of a model. Vectors of models with different digests are never compared."""

    name: str
    digest: str
    pooling: Pooling
    max_tokens: int
    prefixes: dict[InputType, str]
    providers: Sequence[str]
    # How many of a vector's numbers are ever other than 0, as far as a trial tells.
    filled: int = DIMENSIONS

    @property
    def identity(self) -> str:
        return identity(self.name, self.digest)


class Model(Protocol):
    """A loaded model. Its methods block, and may be called from any thread."""

    @property
    def facts(self) -> ModelFacts: ...

    def tokens(self, texts: Sequence[str], input_type: InputType) -> list[Tokens]:
        """Returns the tokens of each text, with its prefix, truncated to the model's maximum."""

    def run(self, batch: Sequence[Tokens]) -> NDArray[np.float32]:
        """Returns unit vectors, one row for each text: float32 [n, 1024]."""


class Encoder:
    """Embeds texts for the bulk path."""

    def __init__(
        self, model: Model, batch_tokens: int, count: Callable[[int, int], None] = lambda texts, tokens: None
    ) -> None:
        """`count` is called with the number of texts that were embedded, and of their tokens."""
        self._count = count
        self.model = model.facts.identity
        self._model = model
        self._batch_tokens = batch_tokens

    def embed(self, texts: Sequence[str], role: str) -> NDArray[np.float32]:
        """Returns the unit vectors of texts of one role, one row each: float32 [n, 1024]."""
        tokens = self._model.tokens(texts, TYPE_OF_ROLE[Role(role)])
        vectors = embed_tokens(self._model.run, tokens, self._batch_tokens)
        self._count(len(tokens), sum(map(len, tokens)))
        return vectors
