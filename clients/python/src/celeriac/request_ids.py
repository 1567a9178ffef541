"""Fills in the `request_id` of calls that change something, so that a retry has no second effect."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import grpc
import grpc.aio

Channel = TypeVar("Channel", grpc.Channel, grpc.aio.Channel)
LENGTH_DELIMITED = 2


def filling_in_request_ids(channel: Channel, methods: Mapping[str, int]) -> Channel:
    """Changes the channel so that calls of these methods carry a request_id, and returns it.

    `methods`: the number of the field `request_id`, by the method's path ("/package.Service/Method"). An id
    that the caller set is kept.

    The id is filled in where a call's request is serialized. grpc does this once for each call, so all tries
    of the call send the same bytes. An interceptor could do it too, but with an asyncio interceptor every
    call of the channel, also of other methods, runs in its own task and takes half as long again.
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
    """Puts the field first. If a field occurs twice, the last one counts: the caller's, if it is set.

    https://protobuf.dev/programming-guides/encoding/#last-one-wins
    """
    tag = _varint(number << 3 | LENGTH_DELIMITED)

    def serialize(request: Any) -> bytes:
        # Not at the top: it takes 8 ms, and most programs, such as the command, make no such call.
        import uuid

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
