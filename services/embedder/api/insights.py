"""The servicer of InsightService."""

from __future__ import annotations

from collections.abc import Sequence

from celeriac.embedder.v1 import insights_pb2 as pb
from celeriac.embedder.v1 import insights_pb2_grpc

from services.embedder.api import convert, convert_insights
from services.embedder.insights.analyses import Analyses
from services.embedder.insights.assigning import Assigning
from services.embedder.insights.cached import Rankings
from services.embedder.insights.ranking import after_in, hot, hot_after, largest, one_of, size_after
from services.embedder.insights.store_questions import Listed, QuestionStore, ShownCluster
from services.embedder.messages.messages import Message
from services.embedder.messages.store_messages import MessageStore
from services.embedder.search.search import Question
from services.kernel.errors import NotFound
from services.kernel.grpc.operations import operation_to
from services.kernel.grpc.wire import Context, timestamp
from services.kernel.identity import current_subject
from services.kernel.pages import decode_place, encode_place, next_page_token, page_size
from services.kernel.sessions import Sessions
from services.kernel.stored_operations import OperationStore
from services.kernel.validation import Faults

NEAREST = 3
# Of a ranking that is asked for the groups alone, whatever their counts.
ANY_PERIOD = (7, 2)


class InsightApi(insights_pb2_grpc.InsightServiceServicer):
    def __init__(
        self,
        sessions: Sessions,
        rankings: Rankings,
        analyses: Analyses,
        assigning: Assigning,
        question: Question,
    ) -> None:
        """`question` returns the vector of a text."""
        self._sessions = sessions
        self._rankings = rankings
        self._analyses = analyses
        self._assigning = assigning
        self._question = question

    async def ListHotQuestions(
        self, request: pb.ListHotQuestionsRequest, context: Context
    ) -> pb.ListHotQuestionsResponse:
        (days, periods), size = convert_insights.periods_in(request), page_size(request.page_size, default=20)
        state, clusters = await self._rankings.get(days, periods)
        found = hot(clusters, after_in(request.page_token, state))[: size + 1]
        texts = await self._texts(found[:size])
        return pb.ListHotQuestionsResponse(
            questions=[convert_insights.hot_to(each, texts) for each in found[:size]],
            analysis_time=timestamp(state.analysed_at if state else None),
            next_page_token=next_page_token(found, size, lambda last: hot_after(last, state)),
            analysis=convert_insights.analysis_to(state),
        )

    async def ListClusters(
        self, request: pb.ListClustersRequest, context: Context
    ) -> pb.ListClustersResponse:
        size = page_size(request.page_size)
        state, clusters = await self._rankings.get(*ANY_PERIOD)
        found = largest(clusters, after_in(request.page_token, state))[: size + 1]
        texts = await self._texts(found[:size])
        return pb.ListClustersResponse(
            clusters=[convert_insights.cluster_to(each, texts) for each in found[:size]],
            next_page_token=next_page_token(found, size, lambda last: size_after(last, state)),
            analysis=convert_insights.analysis_to(state),
        )

    async def GetCluster(self, request: pb.GetClusterRequest, context: Context) -> pb.GetClusterResponse:
        after, size = decode_place(request.page_token), page_size(request.page_size)
        group, days = convert_insights.spread_in(request)
        state, clusters = await self._rankings.get(*ANY_PERIOD)
        cluster = one_of(clusters, group)
        if state is None or cluster is None:
            raise NotFound("cluster", request.name)
        async with self._sessions.reading() as session:
            store = QuestionStore(session)
            members = await store.members(group, size + 1, after)
            counts = await store.days(group, state.today, days)
            messages = await MessageStore(session).by_ids([one.id for one in members[:size]])
        return pb.GetClusterResponse(
            cluster=convert_insights.cluster_to(cluster, await self._texts([cluster])),
            members=[convert.message_to(messages[one.id]) for one in members[:size]],
            next_page_token=next_page_token(members, size, _place_of),
            day_counts=convert_insights.days_to(counts, state.today, days),
        )

    async def ListUngroupedQuestions(
        self, request: pb.ListUngroupedQuestionsRequest, context: Context
    ) -> pb.ListUngroupedQuestionsResponse:
        kinds, size = convert_insights.kinds_in(request), page_size(request.page_size)
        after = decode_place(request.page_token)
        async with self._sessions.reading() as session:
            found = await QuestionStore(session).ungrouped(kinds, size + 1, after)
            messages = await MessageStore(session).by_ids([one.id for one in found[:size]])
        return pb.ListUngroupedQuestionsResponse(
            questions=[convert_insights.ungrouped_to(one, messages[one.id]) for one in found[:size]],
            next_page_token=next_page_token(found, size, _place_of),
        )

    async def AssignQuestion(
        self, request: pb.AssignQuestionRequest, context: Context
    ) -> pb.AssignQuestionResponse:
        faults = Faults()
        faults.text("text", request.text, "怎麼退貨？", most=convert.MOST_CHARACTERS)
        faults.raise_any()
        found = await self._assigning.assign(request.text, await self._question(request.text), NEAREST)
        _, clusters = await self._rankings.get(*ANY_PERIOD)
        near = [(one_of(clusters, group), score) for group, score in found.nearest]
        texts = await self._texts([cluster for cluster, _ in near if cluster])
        own = one_of(clusters, found.group) if found.group is not None else None
        return pb.AssignQuestionResponse(
            cluster=convert_insights.cluster_to(own, texts) if own else None,
            small_talk=found.talk,
            nearest=[
                pb.NearCluster(cluster=convert_insights.cluster_to(cluster, texts), score=score)
                for cluster, score in near
                if cluster
            ],
        )

    async def RunAnalysis(self, request: pb.RunAnalysisRequest, context: Context) -> pb.RunAnalysisResponse:
        wanted, once = convert_insights.analysis_in(request)
        operation_id = await self._analyses.begin(wanted, current_subject(), once)
        async with self._sessions.reading() as session:
            operation = await OperationStore(session).get(operation_id)
        return pb.RunAnalysisResponse(operation=operation_to(operation))

    async def NameCluster(self, request: pb.NameClusterRequest, context: Context) -> pb.NameClusterResponse:
        group, name = convert_insights.naming_in(request)
        async with self._sessions.transaction() as session:
            await QuestionStore(session).give_name(group, name, current_subject())
        _, clusters = await self._rankings.get(*ANY_PERIOD)
        cluster = one_of(clusters, group)
        if cluster is None:
            # It had no members: without its name, nothing is left of it.
            return pb.NameClusterResponse(cluster=pb.Cluster(name=request.name))
        texts = await self._texts([cluster])
        return pb.NameClusterResponse(cluster=convert_insights.cluster_to(cluster, texts))

    async def _texts(self, clusters: Sequence[ShownCluster]) -> dict[str, Message]:
        """Returns the messages that stand for the clusters, as they are now."""
        ids = [one for cluster in clusters for one in (cluster.medoid, *cluster.examples) if one]
        async with self._sessions.reading() as session:
            return await MessageStore(session).by_ids(ids)


def _place_of(last: Listed) -> str:
    return encode_place((last.at, last.id))
