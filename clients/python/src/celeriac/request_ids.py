"""Gives calls that change something a `request_id`: sent again, they have no second effect."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import grpc
import grpc.aio

Channel = TypeVar("Channel", grpc.Channel, grpc.aio.Channel)
LENGTH_DELIMITED = 2


def filling_in_request_ids(channel: Channel, methods: Mapping[str, int]) -> Channel:
    """The same channel; calls of these methods go out with a request_id. One that the caller set is kept.

    `methods`: the number of the field `request_id`, by the method's path ("/package.Service/Method").

    It is filled in where a call's request is serialized, which grpc does once a call: all tries of the call
    send the same bytes. An interceptor would do it too, but asyncio's make each call of the channel, also of
    other methods, a task of its own, which takes half as long again.
    """
    make: Callable[..., Any] = channel.unary_unary

    def unary_unary(
        method: str, request_serializer: Callable[[Any], bytes] | None = None, *more: Any, **named: Any
    ) -> Any:
        if method in methods:
            request_serializer = _filling_in(methods[method], request_serializer or bytes)
        return make(method, request_serializer, *more, **named)

    channel.unary_unary = unary_unary  # type: ignore[method-assign]
    return channel


def _filling_in(number: int, serializer: Callable[[Any], bytes]) -> Callable[[Any], bytes]:
    """Puts the field first. Of a field that comes twice the last one counts: the caller's, if there is one.

    https://protobuf.dev/programming-guides/encoding/#last-one-wins
    """
    tag = _varint(number << 3 | LENGTH_DELIMITED)

    def serialize(request: Any) -> bytes:
        filled_in = str(uuid.uuid4()).encode()
        return tag + _varint(len(filled_in)) + filled_in + serializer(request)

    return serialize


def _varint(number: int) -> bytes:
    """https://protobuf.dev/programming-guides/encoding/#varints"""
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])
