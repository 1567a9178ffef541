"""The gRPC process of the embedder, around a loaded model."""

from __future__ import annotations

import asyncio

from celeriac.embedder.v1 import (
    embedding_pb2_grpc,
    insights_pb2_grpc,
    messages_pb2_grpc,
    search_pb2_grpc,
)
from prometheus_client import Gauge

from services.embedder.api.embedding import EmbeddingApi
from services.embedder.api.insights import InsightApi
from services.embedder.api.messages import MessageApi
from services.embedder.api.search import SearchApi
from services.embedder.bulk.plan import Rebuilds
from services.embedder.bulk.worker import analysis_sender, celery_app, chunk_sender
from services.embedder.counts import EmbeddedCounts
from services.embedder.insights.analyses import Analyses
from services.embedder.insights.assigning import Assigning
from services.embedder.insights.cached import Rankings
from services.embedder.model.encoder import Model
from services.embedder.online import OnlineEncoder
from services.embedder.pace import Pace
from services.embedder.search.following import Following
from services.embedder.search.index import VectorIndex
from services.embedder.search.saved import IndexFolder
from services.embedder.search.search import Search
from services.embedder.settings import EmbedderSettings
from services.kernel import broker, service
from services.kernel.grpc.server import Servicer
from services.kernel.live_keys import CHUNK_CHARACTERS, MOST_WAITING_TOKENS
from services.kernel.live_settings import LiveSettings
from services.kernel.metrics import new_registry
from services.kernel.opened_database import opened_database
from services.kernel.operations import Owner
from services.kernel.sessions import opened_sessions


async def serve(settings: EmbedderSettings, model: Model, batch_tokens: int) -> None:
    facts, live = model.facts, LiveSettings("embedder")
    pace = Pace().times(settings.pace)
    registry = new_registry()
    counts = EmbeddedCounts(registry, "online")
    online = OnlineEncoder(model, batch_tokens, lambda: live.get(MOST_WAITING_TOKENS), counts.add)
    waiting = Gauge("celeriac_embedder_tokens_waiting", "Tokens of calls that wait", registry=registry)
    waiting.set_function(lambda: online.waiting)
    async with (
        opened_database(settings, "embedder") as database,
        opened_sessions(database) as sessions,
        broker.connect(settings) as client,
    ):
        index = await asyncio.to_thread(
            lambda: VectorIndex(IndexFolder(settings.index_folder, facts.identity))
        )
        following = Following(database, facts.identity, index, pace)
        search = Search(sessions, index, online.question)
        app = celery_app(settings)
        send = chunk_sender(app)
        rebuilds = Rebuilds(sessions, facts.identity, send, lambda: live.get(CHUNK_CHARACTERS), pace)
        analyses = Analyses(sessions, facts.identity, analysis_sender(app), pace)
        assigning = Assigning(sessions, facts.identity, settings.time_zone, pace)
        rankings = Rankings(sessions, client, settings.queue_prefix, settings.time_zone)
        owner = Owner(database, "embedder", pace=pace)
        # The index is filled before the service reports that it is ready.
        await following.compare()
        await service.run(
            "embedder",
            settings,
            database,
            registry,
            servicers=[
                Servicer.generated(
                    embedding_pb2_grpc.add_EmbeddingServiceServicer_to_server, EmbeddingApi(online, facts)
                ),
                Servicer.generated(
                    messages_pb2_grpc.add_MessageServiceServicer_to_server, MessageApi(sessions, rebuilds)
                ),
                Servicer.generated(search_pb2_grpc.add_SearchServiceServicer_to_server, SearchApi(search)),
                Servicer.generated(
                    insights_pb2_grpc.add_InsightServiceServicer_to_server,
                    InsightApi(sessions, rankings, analyses, assigning, search.vector_of),
                ),
            ],
            background=[
                online.loop,
                following,
                rebuilds.healing,
                analyses.healing,
                assigning.following,
                owner,
            ],
            live=live,
            checks={"broker": client.ping},
            pace=pace,
        )
