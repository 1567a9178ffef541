"""One call on its way through the steps."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import grpc
import grpc.aio
from google.protobuf.message import Message

from services.kernel.errors import Unauthenticated
from services.kernel.identity import Identity
from services.kernel.policy import MethodPolicy


@dataclass
class Call:
    """What the steps know and learn of a call, from its arrival to its answer."""

    # "/celeriac.scheduler.v1.ScheduleService/GetSchedule"
    method: str
    policy: MethodPolicy
    # From bytes to the method's request type.
    parse: Callable[[bytes], Message]
    context: grpc.aio.ServicerContext[Message, Message]
    # The request as it came: bytes, or a stream of them.
    raw: bytes | AsyncIterator[bytes]
    # The answer is a stream, which lasts for as long as the caller reads it.
    streams: bool = False
    # time.monotonic() at arrival.
    started: float = field(default_factory=time.monotonic)

    # Set by `observe`.
    request_id: str = ""
    address: str = ""
    user_agent: str = ""
    # Set by `decode`: what the handler is given, and the request itself (None where it is a stream).
    argument: Message | AsyncIterator[Message] | None = None
    request: Message | None = None
    # Set by `identify`: who calls, or why that isn't known.
    identity: Identity | None = None
    refusal: Unauthenticated | None = None
    # Set when the handler has answered; None where the response is a stream.
    response: Message | None = None
    # Set by `errors`: the status that the caller got.
    code: grpc.StatusCode = grpc.StatusCode.OK

    def metadata(self, key: str) -> str:
        """The first value of a metadata key (lower case); empty when the caller sent none."""
        for name, value in self.context.invocation_metadata() or ():
            if name == key:
                return value if isinstance(value, str) else value.decode("utf-8", "replace")
        return ""

    def peer_names(self) -> list[str]:
        """The names in the TLS certificate of whoever opened the connection."""
        names = self.context.auth_context().get("x509_subject_alternative_name", [])
        return [name.decode() for name in names]
