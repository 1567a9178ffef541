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
from services.kernel.validation import Faults
from services.scheduler.api import convert_config as convert
from services.scheduler.config.change import Configuration
from services.scheduler.config.feed import ConfigFeed

MOST_PREFIXES = 100


class ConfigApi(config_pb2_grpc.ConfigServiceServicer):
    def __init__(self, configuration: Configuration, feed: ConfigFeed) -> None:
        self._configuration = configuration
        self._feed = feed

    async def GetConfig(self, request: pb.GetConfigRequest, context: Context) -> pb.GetConfigResponse:
        setting = await self._configuration.get(convert.key_of(request.name))
        return pb.GetConfigResponse(config=convert.config_to(setting))

    async def ListConfig(self, request: pb.ListConfigRequest, context: Context) -> pb.ListConfigResponse:
        size, after = page_size(request.page_size), decode_last(request.page_token)
        settings = [
            one
            for one in await self._configuration.list()
            if one.key.name > after and one.key.name.startswith(request.prefix)
        ]
        return pb.ListConfigResponse(
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
        key = convert.key_of(request.name) if request.name else ""
        found = await self._configuration.revisions(key, before, size + 1)
        return pb.ListConfigRevisionsResponse(
            revisions=map(convert.revision_to, found[:size]),
            next_page_token=next_page_token(found, size, lambda last: encode_before(last.number)),
        )

    async def RollbackConfig(
        self, request: pb.RollbackConfigRequest, context: Context
    ) -> pb.RollbackConfigResponse:
        setting = await self._configuration.roll_back(convert.order_of(request), request.revision)
        return pb.RollbackConfigResponse(config=convert.config_to(setting))

    async def WatchConfig(
        self, request: pb.WatchConfigRequest, context: Context
    ) -> AsyncIterator[pb.WatchConfigResponse]:
        _check_watch(request)
        prefixes = tuple(request.prefixes)
        async for news in self._feed.after(request.after_revision):
            yield convert.news_to(news, prefixes)

    async def RevealConfig(
        self, request: pb.RevealConfigRequest, context: Context
    ) -> pb.RevealConfigResponse:
        value, revision = await self._configuration.reveal(convert.key_of(request.name))
        return pb.RevealConfigResponse(value=value, revision=revision)

    async def ReadSecret(self, request: pb.ReadSecretRequest, context: Context) -> pb.ReadSecretResponse:
        value, revision = await self._configuration.reveal(convert.key_of(request.name))
        return pb.ReadSecretResponse(value=value, revision=revision)


def _check_watch(request: pb.WatchConfigRequest) -> None:
    faults = Faults()
    few = len(request.prefixes) <= MOST_PREFIXES
    faults.unless(few, "prefixes", f"has {len(request.prefixes)}, at most {MOST_PREFIXES}", '["monitor."]')
    sound = request.after_revision >= 0
    faults.unless(sound, "after_revision", f"is {request.after_revision}, it can't be negative", "0")
    faults.raise_any()
