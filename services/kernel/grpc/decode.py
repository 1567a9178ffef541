"""Third step: parses the request. Malformed bytes are the caller's error, and are told as one.

grpcio left to itself answers them with UNKNOWN, and puts an exception's text into the status.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from google.protobuf.message import DecodeError, Message

from services.kernel.errors import FieldFault, Invalid
from services.kernel.grpc.call import Call

# How much later than the end of its requests a call's cancellation may come; 0.1 ms were measured.
CANCELLATION_SECONDS = 0.05

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
    if call.policy.audited:
        # To the reader of a stream whose caller goes away, grpc.aio says first that it has ended, and cancels
        # the handler a moment later. A mutation cut short must not be taken for a whole one.
        await asyncio.sleep(CANCELLATION_SECONDS)
