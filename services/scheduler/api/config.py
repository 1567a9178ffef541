"""The servicer of ConfigService."""

from __future__ import annotations

from collections.abc import AsyncIterator

from celeriac.scheduler.v1 import config_pb2 as pb
from celeriac.scheduler.v1 import config_pb2_grpc

from services.kernel.grpc.wire import Context
from services.kernel.pages import (
    decode_before,
    decode_last,
    encode_before,
    encode_last,
    next_page_token,
    page_size,
)
from services.scheduler.api import convert_config as convert
from services.scheduler.config.change import Configuration
from services.scheduler.config.feed import ConfigFeed


class ConfigApi(config_pb2_grpc.ConfigServiceServicer):
    def __init__(self, configuration: Configuration, feed: ConfigFeed) -> None:
        self._configuration = configuration
        self._feed = feed

    async def GetConfig(self, request: pb.GetConfigRequest, context: Context) -> pb.GetConfigResponse:
        setting = await self._configuration.get(convert.key_of(request.name))
        return pb.GetConfigResponse(config=convert.config_to(setting))

    async def ListConfigs(self, request: pb.ListConfigsRequest, context: Context) -> pb.ListConfigsResponse:
        size, after = page_size(request.page_size), decode_last(request.page_token)
        prefixes = convert.prefixes_in(request.prefixes)
        found = convert.chosen(await self._configuration.list(), prefixes)
        settings = [one for one in found if one.key.name > after]
        return pb.ListConfigsResponse(
            configs=map(convert.config_to, settings[:size]),
            next_page_token=next_page_token(settings, size, lambda last: encode_last(last.key.name)),
        )

    async def SetConfig(self, request: pb.SetConfigRequest, context: Context) -> pb.SetConfigResponse:
        order = convert.order_of(request)
        setting = await self._configuration.set(order, convert.value_in(request, order))
        return pb.SetConfigResponse(config=convert.config_to(setting))

    async def ResetConfig(self, request: pb.ResetConfigRequest, context: Context) -> pb.ResetConfigResponse:
        setting = await self._configuration.reset(convert.order_of(request))
        return pb.ResetConfigResponse(config=convert.config_to(setting))

    async def ListConfigRevisions(
        self, request: pb.ListConfigRevisionsRequest, context: Context
    ) -> pb.ListConfigRevisionsResponse:
        size, before = page_size(request.page_size), decode_before(request.page_token)
        key = convert.key_of(request.parent, "parent") if request.parent else ""
        found = await self._configuration.revisions(key, before, size + 1)
        return pb.ListConfigRevisionsResponse(
            revisions=map(convert.revision_to, found[:size]),
            next_page_token=next_page_token(found, size, lambda last: encode_before(last.number)),
        )

    async def RollbackConfig(
        self, request: pb.RollbackConfigRequest, context: Context
    ) -> pb.RollbackConfigResponse:
        setting = await self._configuration.roll_back(*convert.rollback_in(request))
        return pb.RollbackConfigResponse(config=convert.config_to(setting))

    async def WatchConfigs(
        self, request: pb.WatchConfigsRequest, context: Context
    ) -> AsyncIterator[pb.WatchConfigsResponse]:
        prefixes, place = convert.prefixes_in(request.prefixes), convert.place_in(request.cursor)
        async for news in self._feed.after(place):
            yield convert.news_to(news, prefixes)

    async def RevealConfig(
        self, request: pb.RevealConfigRequest, context: Context
    ) -> pb.RevealConfigResponse:
        value, revision = await self._configuration.reveal(convert.key_of(request.name))
        return pb.RevealConfigResponse(value=value, revision=revision)

    async def ReadSecret(self, request: pb.ReadSecretRequest, context: Context) -> pb.ReadSecretResponse:
        value, revision = await self._configuration.reveal(convert.key_of(request.name))
        return pb.ReadSecretResponse(value=value, revision=revision)
