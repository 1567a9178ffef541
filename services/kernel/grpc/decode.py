"""Third step: parses the request. Malformed bytes, and fields of older contracts, are INVALID_ARGUMENT.

A message of more than MOST_BYTES is refused. The server itself takes larger ones, up to a bound: what it
refuses, it refuses in grpc's own words, and before the gateway has seen how large the message is.

grpcio by itself would answer UNKNOWN, with the text of an exception in the status.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from google.protobuf.message import DecodeError, Message

from services.kernel.errors import FieldFault, Invalid, TooLarge
from services.kernel.grpc.call import Call
from services.kernel.grpc.withdrawn import refuse_withdrawn_fields

MOST_BYTES = 8 * 1024 * 1024

# How long after the end of the request stream a cancellation of the call may arrive; 0.1 ms was measured.
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
    if len(raw) > MOST_BYTES:
        raise TooLarge(len(raw), MOST_BYTES)
    try:
        request = call.parse(raw)
    except (DecodeError, UnicodeDecodeError, ValueError) as error:
        raise Invalid([MALFORMED]) from error
    refuse_withdrawn_fields(request)
    return request


async def _each_parsed(call: Call, raws: AsyncIterator[bytes]) -> AsyncIterator[Message]:
    async for raw in raws:
        yield _parsed(call, raw)
    if call.policy.audited:
        # When the caller disconnects, grpc.aio first ends the request stream, and cancels the handler a
        # moment later. Without this wait, a mutation that was cut short would be taken for a complete one.
        await asyncio.sleep(CANCELLATION_SECONDS)
