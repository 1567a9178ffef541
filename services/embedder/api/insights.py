"""The servicer of InsightService."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from celeriac.embedder.v1 import insights_pb2 as pb
from celeriac.embedder.v1 import insights_pb2_grpc

from services.embedder.insights.store_questions import HotQuestion, QuestionStore
from services.kernel.errors import FieldFault, Invalid
from services.kernel.grpc.wire import Context, timestamp
from services.kernel.pages import (
    decode_page_token,
    encode_page_token,
    invalid_page_token,
    next_page_token,
    page_size,
)
from services.kernel.sessions import Sessions
from services.kernel.validation import Faults

DEFAULT_DAYS, MOST_DAYS = 7, 366


class InsightApi(insights_pb2_grpc.InsightServiceServicer):
    def __init__(self, sessions: Sessions, zone: str) -> None:
        self._sessions = sessions
        self._zone = zone

    async def ListHotQuestions(
        self, request: pb.ListHotQuestionsRequest, context: Context
    ) -> pb.ListHotQuestionsResponse:
        faults, size = Faults(), page_size(request.page_size, default=20)
        in_range = 0 <= request.days <= MOST_DAYS
        faults.unless(in_range, "days", f"is {request.days}, it must be 1 to {MOST_DAYS}", "7")
        faults.raise_any()
        position = decode_page_token(request.page_token)
        async with self._sessions.reading() as session:
            store = QuestionStore(session)
            analysed = await store.analysed_at()
            after = _place_in(position, analysed) if request.page_token else None
            found = await store.hot(request.days or DEFAULT_DAYS, size + 1, self._zone, after)
        return pb.ListHotQuestionsResponse(
            questions=map(_question_to, found[:size]),
            analysis_time=timestamp(analysed),
            next_page_token=next_page_token(found, size, lambda last: _token_after(last, analysed)),
        )


def _token_after(question: HotQuestion, analysed: dt.datetime | None) -> str:
    """Returns a token for this analysis only: the next one numbers its groups anew."""
    at = analysed.isoformat() if analysed else ""
    return encode_page_token({"analysed": at, "count": question.count, "id": question.id})


def _place_in(position: Mapping[str, Any], analysed: dt.datetime | None) -> tuple[int, int]:
    count, last = position.get("count"), position.get("id")
    if not isinstance(count, int) or not isinstance(last, int) or max(abs(count), abs(last)) >= 2**31:
        raise invalid_page_token()
    if position.get("analysed") != (analysed.isoformat() if analysed else ""):
        fault = "is of questions that have been grouped anew since; begin with the first page"
        raise Invalid([FieldFault("page_token", fault, "no page_token")])
    return count, last


def _question_to(question: HotQuestion) -> pb.HotQuestion:
    return pb.HotQuestion(
        title=question.title,
        keywords=question.keywords,
        count=question.count,
        previous_count=question.previous,
        size=question.size,
    )
