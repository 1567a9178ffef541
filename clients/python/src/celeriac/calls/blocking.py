"""Calls of `celeriac.connect()`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import grpc

from celeriac.calls.failures import failure, seconds_of
from celeriac.calls.listing import Listing, Page
from celeriac.calls.methods import Method, method_at
from celeriac.calls.request import chunks
from celeriac.calls.views import view

if TYPE_CHECKING:
    from celeriac.calls.watches import Watch

Deadline = dt.timedelta | float | None
# Of a client stream: how many items one message carries.
CHUNK = 100


class Calls:
    """Makes calls on a channel. `metadata` gives that of each call, with a token of this moment."""

    asynchronous = False

    def __init__(self, channel: grpc.Channel, target: str, metadata: Callable[[], Any]) -> None:
        self._channel = channel
        self._target = target
        self._metadata = metadata
        self._methods: dict[str, tuple[Method, Any]] = {}

    def unary(self, path: str, module: str, values: Mapping[str, Any], deadline: Deadline) -> Any:
        """Makes a call, and returns what its answer has."""
        method, call = self._method(path, module)
        request = method.request(values)
        return method.result(self._answer(method, call, request, deadline), self)

    def listing(
        self, path: str, module: str, values: Mapping[str, Any], limit: int | None, deadline: Deadline
    ) -> Listing[Any]:
        """Returns a list that fetches its pages as it is read. `limit`: the most items."""
        method, call = self._method(path, module)
        request = method.request(paged(values, limit))
        items = method.items_field()

        def fetch(token: str) -> Page:
            request.page_token = token
            answer = self._answer(method, call, request, deadline)
            return page_of(answer, items, self)

        return Listing(fetch, limit)

    def watch(self, path: str, module: str, values: Mapping[str, Any], cursor: str) -> Watch[Any]:
        """Returns a watch, which begins when it is read."""
        from celeriac.calls.watches import Watch

        method, _ = self._method(path, module)
        return Watch(self, method, method.request(values), cursor, lambda error: self._failure(error, method))

    def begin(self, method: Method, request: Any) -> Any:
        """Begins a stream of answers."""
        call = self._methods[method.path][1]
        return call(request, metadata=self._metadata())

    def sending(self, path: str, module: str, field: str, items: Iterable[Any], deadline: Deadline) -> Any:
        """Sends a stream of requests, each with some of the items, and returns what the answer has."""
        method, call = self._method(path, module)
        requests = (method.request({field: some}) for some in chunks(items, CHUNK))
        return method.result(self._answer(method, call, requests, deadline), self)

    def _answer(self, method: Method, call: Any, request: Any, deadline: Deadline) -> Any:
        seconds = seconds_of(deadline, method.seconds)
        try:
            return call(request, timeout=seconds, metadata=self._metadata())
        except grpc.RpcError as error:
            raise self._failure(error, method) from error

    def _failure(self, error: Any, method: Method) -> Exception:
        return failure(error, method.path, self._target, method.changes)

    def _method(self, path: str, module: str) -> tuple[Method, Any]:
        if path not in self._methods:
            method = method_at(path, module)
            self._methods[path] = method, multi_callable(self._channel, method)
        return self._methods[path]


def paged(values: Mapping[str, Any], limit: int | None) -> Mapping[str, Any]:
    """Returns the values with a size of pages that does not exceed what is wanted."""
    if limit is None:
        return values
    if limit < 1:
        raise ValueError(f"limit is {limit}; it has to be at least 1, for example limit=50")
    return {"page_size": min(limit, 1000)} | {
        name: value for name, value in values.items() if value is not None
    }


def page_of(answer: Any, items: Any, calls: Any) -> Page:
    """Returns one page of a list."""
    held = getattr(answer, items.name)
    found = [view(each, calls) if items.message_type is not None else each for each in held]
    return Page(found, answer.next_page_token, view(answer, calls))


def multi_callable(channel: Any, method: Method) -> Any:
    """Returns what a generated stub would have for the method."""
    return getattr(channel, method.shape)(
        method.path,
        request_serializer=method.request_class.SerializeToString,
        response_deserializer=method.response_class.FromString,
    )
