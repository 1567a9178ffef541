"""The servicer of SearchService."""

from __future__ import annotations

from celeriac.embedder.v1 import search_pb2 as pb
from celeriac.embedder.v1 import search_pb2_grpc

from services.embedder.api import convert
from services.embedder.search.search import Query, Search
from services.kernel.grpc.wire import Context
from services.kernel.validation import Faults

DEFAULT_K, MOST_K = 10, 1000


class SearchApi(search_pb2_grpc.SearchServiceServicer):
    def __init__(self, search: Search) -> None:
        self._search = search

    async def SearchMessages(
        self, request: pb.SearchMessagesRequest, context: Context
    ) -> pb.SearchMessagesResponse:
        found = await self._search.find(await self._query(request))
        return pb.SearchMessagesResponse(
            results=[
                pb.FoundMessage(message=convert.message_to(message), score=score) for message, score in found
            ]
        )

    async def _query(self, request: pb.SearchMessagesRequest) -> Query:
        faults, vector = Faults(), None
        wanted = convert.search_filter(request, faults)
        faults.unless(0 <= request.k <= MOST_K, "k", f"is {request.k}, it must be 1 to {MOST_K}", "10")
        least = request.min_score if request.HasField("min_score") else -2.0
        bounded = not request.HasField("min_score") or -1 <= least <= 1
        faults.unless(bounded, "min_score", f"is {least}, it must be -1 to 1", "0.85")
        match request.WhichOneof("query"):
            case "text":
                faults.text("text", request.text, "怎麼退貨？", most=convert.MOST_CHARACTERS)
            case "vector":
                vector = convert.vector_from(request.vector, faults)
            case _:
                faults.add("text", "is not set, and neither is vector", "怎麼退貨？")
        faults.raise_any()
        if vector is None:
            vector = await self._search.vector_of(request.text)
        return Query(vector, request.k or DEFAULT_K, least, wanted)
