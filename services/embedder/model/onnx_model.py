"""A model run by ONNX Runtime. It is tried once when it is loaded, and refused if its vectors are wrong."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from services.embedder.model.encoder import DIMENSIONS, InputType, ModelFacts, Pooling
from services.embedder.model.files import WrongModel
from services.embedder.model.graph import Engine, Floats, Graph
from services.embedder.model.packing import Tokens
from services.embedder.model.runtime import RUNTIME_ERRORS
from services.embedder.model.unrun import TRIAL, Unrun, tokenizer_of

# The output names that exports use for the vector of a text, and for the states of its tokens.
TEXT_OUTPUTS = ("sentence_embedding", "dense_vecs", "text_embeds", "embeddings")
TOKEN_OUTPUTS = ("last_hidden_state", "token_embeddings")
PADDINGS = ("<pad>", "[PAD]", "<|endoftext|>")
# The least cosine of two vectors of the same text. It is 0.99 for two batches where the graph is quantised
# with the scales of each batch.
SAME = 0.98
# The same for a graph without attention_mask, which has to recognise padding itself.
SAME_UNTOLD = 0.9999


class OnnxModel:
    """The model of a folder: implements services.embedder.model.encoder.Model."""

    def __init__(self, folder: Path | Unrun, engine: Engine) -> None:
        """Loads what is not loaded yet, and tries the model. Raises WrongModel."""
        unrun = folder if isinstance(folder, Unrun) else Unrun.load(folder)
        found = unrun.folder
        self._tokenizer = unrun.tokenizer or tokenizer_of(found)
        self._padding = _padding(self._tokenizer)
        self._graph = Graph(found.graph, engine)
        found.refuse_other_positions(self._graph.inputs)
        self._cut = found.cut
        outputs = self._graph.outputs
        self._output = _chosen(outputs)
        self._pooled = outputs[self._output] == 2
        if not (self._pooled or found.pooling):
            raise WrongModel(
                f"expected a pooling, as the graph's output {self._output!r} is of tokens and not of texts,"
                " found none in celeriac.json, modules.json and 1_Pooling/config.json; say mean, cls or"
                ' last_token, for example {"pooling": "mean"} in celeriac.json'
            )
        self._pooling = found.pooling or Pooling.UNKNOWN
        self._prefixes = found.prefixes
        tried = self._try()
        self.facts = ModelFacts(
            name=found.name,
            digest=unrun.digest,
            pooling=self._pooling,
            max_tokens=found.reading.max_tokens,
            prefixes=found.prefixes,
            providers=self._graph.providers,
            filled=int(np.count_nonzero(tried.any(axis=0))),
        )
        self._try_largest_id()
        self._try_pooling(next((name for name in TOKEN_OUTPUTS if outputs.get(name) == 3), None))

    def tokens(self, texts: Sequence[str], input_type: InputType) -> list[Tokens]:
        prefix = self._prefixes[input_type]
        encodings = self._tokenizer.encode_batch_fast([prefix + text for text in texts])
        return [
            Tokens(np.array(encoding.ids, dtype=np.int64), bool(encoding.overflowing))
            for encoding in encodings
        ]

    def run(self, batch: Sequence[Tokens]) -> Floats:
        states, mask = self._states(batch, self._output)
        return self._unit(states if self._pooled else pool(self._pooling, states, mask))

    def _states(self, batch: Sequence[Tokens], output: str) -> tuple[Floats, NDArray[np.int64]]:
        """Returns the output of the graph for the batch, and the mask: 1 for a token, 0 for padding."""
        lengths = np.array([len(text) for text in batch])
        mask = (np.arange(lengths.max()) < lengths[:, None]).astype(np.int64)
        ids = np.full(mask.shape, self._padding, dtype=np.int64)
        ids[mask == 1] = np.concatenate([text.ids for text in batch])
        return self._graph.run(ids, mask, output), mask

    def _unit(self, vectors: Floats) -> Floats:
        return _unit(vectors[:, :DIMENSIONS] if self._cut else vectors)

    def _try(self) -> Floats:
        """Returns the vectors of a few texts. Raises WrongModel."""
        batch = self.tokens(TRIAL, InputType.QUERY)
        try:
            vectors = self.run(batch)
        except RUNTIME_ERRORS as error:
            raise WrongModel(f"expected the graph to run, found {str(error)[:500]}") from None
        if vectors.shape != (len(batch), DIMENSIONS):
            raise WrongModel(
                f"expected the output {self._output!r} to have {DIMENSIONS} numbers a text,"
                f" found the shape {list(vectors.shape)} for {len(batch)} texts"
            )
        if not np.isfinite(vectors).all():
            raise WrongModel("expected finite vectors, found some that are not")
        shortest = min(range(len(batch)), key=lambda row: len(batch[row]))
        same = float(vectors[shortest] @ self.run([batch[shortest]])[0])
        if same < (SAME if "attention_mask" in self._graph.inputs else SAME_UNTOLD):
            raise WrongModel(
                "expected padding on the right to change no vector, found a text whose vector is another one"
                f" beside a longer text (cosine {same:.4f}): the graph must heed attention_mask, and not take"
                " the last position for the last token"
            )
        return vectors

    def _try_largest_id(self) -> None:
        """Refuses a tokenizer with tokens that the graph has no vector of: texts with them would fail."""
        largest = max(self._tokenizer.get_vocab(with_added_tokens=True).values(), default=0)
        ids = np.array([[largest]], dtype=np.int64)
        try:
            self._graph.run(ids, np.ones_like(ids), self._output)
        except RUNTIME_ERRORS as error:
            raise WrongModel(
                f"expected the graph to take all ids of tokenizer.json, up to {largest}, found that it does"
                f" not: {str(error)[:300]}; the tokenizer belongs to another model"
            ) from None

    def _try_pooling(self, tokens: str | None) -> None:
        """Compares the stated pooling with the graph's, if the graph returns vectors of texts and tokens."""
        if not self._pooled or tokens is None or self._pooling is Pooling.UNKNOWN:
            return
        batch = self.tokens(TRIAL, InputType.QUERY)
        pooled = self._unit(pool(self._pooling, *self._states(batch, tokens)))
        same = float((pooled * self.run(batch)).sum(axis=1).min()) if pooled.shape[1] == DIMENSIONS else 0.0
        if same < SAME:
            raise WrongModel(
                f"expected the graph's {self._output!r} to be the {self._pooling.value} of its {tokens!r}, as"
                f" the folder says, found another vector (cosine {same:.2f})"
            )


def pool(pooling: Pooling, states: Floats, mask: NDArray[np.int64]) -> Floats:
    """Pools the states of tokens, float32 [n, sequence, width], to one vector for each text [n, width].

    It does what sentence-transformers does: the mean over the text's own tokens, its first token, or its
    last. Padding must be on the right.
    """
    if pooling is Pooling.CLS:
        return states[:, 0]
    if pooling is Pooling.LAST_TOKEN:
        last: Floats = states[np.arange(len(states)), mask.sum(axis=1) - 1]
        return last
    weights = mask[:, :, None].astype(np.float32)
    mean: Floats = (states * weights).sum(axis=1) / weights.sum(axis=1)
    return mean


def _unit(vectors: Floats) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        # A vector of zeros gives NaN; the callers treat that as an error of the text.
        unit: Floats = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit


def _padding(tokenizer: Tokenizer) -> int:
    """Returns the id of the padding token. Its states are never used, but it must be in the vocabulary."""
    numbers = [tokenizer.token_to_id(name) for name in PADDINGS]
    return next((number for number in numbers if number is not None), 0)


def _chosen(outputs: dict[str, int]) -> str:
    """Returns the name of the output for texts if there is one, else of the output for tokens.

    `outputs` maps names to ranks. BERT's pooler_output is not used: it was trained to predict whether two
    sentences follow each other. Raises WrongModel if no output fits, or several do.
    """
    for rank, names in ((2, TEXT_OUTPUTS), (3, TOKEN_OUTPUTS)):
        for name in names:
            if outputs.get(name) == rank:
                return name
    rest = [name for name, rank in outputs.items() if name != "pooler_output" and rank in (2, 3)]
    if not rest:
        raise WrongModel(f"expected an output of rank 2 (texts) or 3 (tokens), found {outputs}")
    if len(rest) > 1:
        raise WrongModel(
            f"expected an output named one of {TEXT_OUTPUTS + TOKEN_OUTPUTS}, or a single one, found {rest}"
        )
    return rest[0]
