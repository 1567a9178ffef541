"""The servicer of EmbeddingService."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from celeriac.embedder.v1 import embedding_pb2 as pb
from celeriac.embedder.v1 import embedding_pb2_grpc

from services.embedder.api.convert import MOST_CHARACTERS
from services.embedder.model.encoder import DIMENSIONS, InputType, ModelFacts, Pooling
from services.embedder.model.packing import Tokens
from services.embedder.online import MOST_TEXTS, OnlineEncoder
from services.kernel.grpc.wire import Context
from services.kernel.validation import Faults

EXAMPLE = "怎麼退貨？"
# At most this many faults are reported, since the details of a status have a limited size.
MOST_FAULTS = 20
INPUT_TYPES: dict[int, InputType] = {
    pb.INPUT_TYPE_UNSPECIFIED: InputType.QUERY,
    pb.INPUT_TYPE_QUERY: InputType.QUERY,
    pb.INPUT_TYPE_PASSAGE: InputType.PASSAGE,
}
POOLINGS_ON_WIRE = {
    Pooling.MEAN: pb.POOLING_MEAN,
    Pooling.CLS: pb.POOLING_CLS,
    Pooling.LAST_TOKEN: pb.POOLING_LAST_TOKEN,
    Pooling.UNKNOWN: pb.POOLING_UNSPECIFIED,
}


class EmbeddingApi(embedding_pb2_grpc.EmbeddingServiceServicer):
    def __init__(self, online: OnlineEncoder, facts: ModelFacts) -> None:
        self._online = online
        self._facts = facts

    async def Embed(self, request: pb.EmbedRequest, context: Context) -> pb.EmbedResponse:
        input_type = _checked(request)
        refuse = request.long_texts == pb.LONG_TEXTS_REFUSE
        check = self._refuse_truncated if refuse else None
        embedding = await self._online.embed(request.texts, input_type, check)
        return pb.EmbedResponse(
            vectors=np.ascontiguousarray(embedding.vectors, dtype="<f4").tobytes(),
            dimension=DIMENSIONS,
            token_counts=map(len, embedding.tokens),
            truncated_texts=[row for row, text in enumerate(embedding.tokens) if text.truncated],
            model=f"models/{self._facts.identity}",
        )

    async def GetModel(self, request: pb.GetModelRequest, context: Context) -> pb.GetModelResponse:
        return pb.GetModelResponse(model=_model_to(self._facts))

    def _refuse_truncated(self, tokens: Sequence[Tokens]) -> None:
        faults, fault = Faults(), f"has more than the {self._facts.max_tokens} tokens that the model reads"
        long = [row for row, text in enumerate(tokens) if text.truncated]
        for row in long[:MOST_FAULTS]:
            faults.add(f"texts[{row}]", fault, EXAMPLE)
        faults.raise_any()


def _checked(request: pb.EmbedRequest) -> InputType:
    faults, count = Faults(), len(request.texts)
    faults.unless(
        1 <= count <= MOST_TEXTS, "texts", f"are {count}, they must be 1 to {MOST_TEXTS}", f'["{EXAMPLE}"]'
    )
    faults.raise_any()
    wrong = 0
    for row, text in enumerate(request.texts):
        wrong += not faults.text(f"texts[{row}]", text, EXAMPLE, most=MOST_CHARACTERS)
        if wrong == MOST_FAULTS:
            break
    known = request.input_type in INPUT_TYPES
    fault = f"is {request.input_type}, not an InputType"
    faults.unless(known, "input_type", fault, "INPUT_TYPE_QUERY")
    known = request.long_texts in pb.LongTexts.values()
    faults.unless(known, "long_texts", f"is {request.long_texts}, not a LongTexts", "LONG_TEXTS_REFUSE")
    faults.raise_any()
    return INPUT_TYPES[request.input_type]


def _model_to(facts: ModelFacts) -> pb.Model:
    return pb.Model(
        name=f"models/{facts.identity}",
        display_name=facts.name,
        digest=facts.digest,
        dimension=DIMENSIONS,
        max_tokens=facts.max_tokens,
        pooling=POOLINGS_ON_WIRE[facts.pooling],
        query_prefix=facts.prefixes[InputType.QUERY],
        passage_prefix=facts.prefixes[InputType.PASSAGE],
        providers=facts.providers,
        filled_dimension=facts.filled,
    )
