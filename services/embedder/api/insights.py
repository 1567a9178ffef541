"""The servicer of InsightService."""

from __future__ import annotations

from celeriac.embedder.v1 import insights_pb2 as pb
from celeriac.embedder.v1 import insights_pb2_grpc

from services.embedder.insights.store_questions import HotQuestion, QuestionStore
from services.kernel.grpc.wire import Context, timestamp
from services.kernel.pages import page_size
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
        faults, most = Faults(), page_size(request.page_size, default=20)
        in_range = 0 <= request.days <= MOST_DAYS
        faults.unless(in_range, "days", f"is {request.days}, it must be 1 to {MOST_DAYS}", "7")
        faults.raise_any()
        async with self._sessions.reading() as session:
            store = QuestionStore(session)
            found, analysed = await store.hot(request.days or DEFAULT_DAYS, most, self._zone)
        return pb.ListHotQuestionsResponse(
            questions=map(_question_to, found), analysis_time=timestamp(analysed)
        )


def _question_to(question: HotQuestion) -> pb.HotQuestion:
    return pb.HotQuestion(
        title=question.title,
        keywords=question.keywords,
        count=question.count,
        previous_count=question.previous,
        size=question.size,
    )
