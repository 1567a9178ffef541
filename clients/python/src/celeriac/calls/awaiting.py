"""Calls of `celeriac.aio.connect()`: those of `blocking`, awaited."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio

from celeriac.calls.blocking import CHUNK, Deadline, multi_callable, page_of, paged
from celeriac.calls.failures import failure, seconds_of
from celeriac.calls.listing import AsyncListing, Page
from celeriac.calls.methods import Method, method_at
from celeriac.calls.request import chunks

if TYPE_CHECKING:
    from celeriac.calls.watches import AsyncWatch


class AsyncCalls:
    """Makes calls on a channel of asyncio."""

    asynchronous = True

    def __init__(self, channel: grpc.aio.Channel, target: str, metadata: Callable[[], Any]) -> None:
        self._channel = channel
        self._target = target
        self._metadata = metadata
        self._methods: dict[str, tuple[Method, Any]] = {}

    async def unary(self, path: str, module: str, values: Mapping[str, Any], deadline: Deadline) -> Any:
        method, call = self._method(path, module)
        request = method.request(values)
        return method.result(await self._answer(method, call, request, deadline), self)

    def listing(
        self, path: str, module: str, values: Mapping[str, Any], limit: int | None, deadline: Deadline
    ) -> AsyncListing[Any]:
        method, call = self._method(path, module)
        request = method.request(paged(values, limit))
        items = method.items_field()

        async def fetch(token: str) -> Page:
            request.page_token = token
            answer = await self._answer(method, call, request, deadline)
            return page_of(answer, items, self)

        return AsyncListing(fetch, limit)

    def watch(self, path: str, module: str, values: Mapping[str, Any], cursor: str) -> AsyncWatch[Any]:
        from celeriac.calls.watches import AsyncWatch

        method, _ = self._method(path, module)
        wanted = method.request(values)
        return AsyncWatch(self, method, wanted, cursor, lambda error: self._failure(error, method))

    def begin(self, method: Method, request: Any) -> Any:
        call = self._methods[method.path][1]
        return call(request, metadata=self._metadata())

    async def sending(
        self, path: str, module: str, field: str, items: Iterable[Any], deadline: Deadline
    ) -> Any:
        method, call = self._method(path, module)
        requests = (method.request({field: some}) for some in chunks(items, CHUNK))
        return method.result(await self._answer(method, call, requests, deadline), self)

    async def _answer(self, method: Method, call: Any, request: Any, deadline: Deadline) -> Any:
        seconds = seconds_of(deadline, method.seconds)
        try:
            return await call(request, timeout=seconds, metadata=self._metadata())
        except grpc.RpcError as error:
            raise self._failure(error, method) from error

    def _failure(self, error: Any, method: Method) -> Exception:
        return failure(error, method.path, self._target, method.changes)

    def _method(self, path: str, module: str) -> tuple[Method, Any]:
        if path not in self._methods:
            method = method_at(path, module)
            self._methods[path] = method, multi_callable(self._channel, method)
        return self._methods[path]
