"""Third step: parses the request. Malformed bytes are the caller's error, and are told as one.

grpcio left to itself answers them with UNKNOWN, and puts an exception's text into the status.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from google.protobuf.message import DecodeError, Message

from services.kernel.errors import FieldFault, Invalid
from services.kernel.grpc.call import Call

MALFORMED = FieldFault(
    "request",
    "is not a message of this method's request type (malformed protobuf or UTF-8)",
    "a message written by the stubs of this contract's version",
)


@asynccontextmanager
async def decode(call: Call) -> AsyncIterator[None]:
    if isinstance(call.raw, bytes):
        call.argument = call.request = _parsed(call, call.raw)
    else:
        call.argument = _each_parsed(call, call.raw)
    yield


def _parsed(call: Call, raw: bytes) -> Message:
    try:
        return call.parse(raw)
    except (DecodeError, UnicodeDecodeError, ValueError) as error:
        raise Invalid([MALFORMED]) from error


async def _each_parsed(call: Call, raws: AsyncIterator[bytes]) -> AsyncIterator[Message]:
    async for raw in raws:
        yield _parsed(call, raw)
