"""The state of one gRPC call while it passes through the steps."""

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
    """One call: what is known at its arrival, and what the steps add."""

    # "/celeriac.scheduler.v1.ScheduleService/GetSchedule"
    method: str
    policy: MethodPolicy
    # Parses bytes as the method's request type.
    parse: Callable[[bytes], Message]
    context: grpc.aio.ServicerContext[Message, Message]
    # The request as it arrived, not parsed: bytes, or a stream of them.
    raw: bytes | AsyncIterator[bytes]
    # Whether the response is a stream, which lasts as long as the caller reads it.
    streams: bool = False
    # time.monotonic() at arrival.
    started: float = field(default_factory=time.monotonic)

    # Set by `observe`.
    request_id: str = ""
    address: str = ""
    user_agent: str = ""
    # Set by `decode`: the handler's argument, and the request itself (None for a stream of requests).
    argument: Message | AsyncIterator[Message] | None = None
    request: Message | None = None
    # Set by `identify`: the caller, or the error that says why the caller is not known.
    identity: Identity | None = None
    refusal: Unauthenticated | None = None
    # What becomes of each message of the answer on its way to the caller, in this order. Steps add to it.
    outgoing: list[Callable[[Message], Message]] = field(default_factory=list)
    # Set when the handler has answered; None where the response is a stream.
    response: Message | None = None
    # Set by `errors`: the status that the caller gets.
    code: grpc.StatusCode = grpc.StatusCode.OK

    @property
    def lasts(self) -> bool:
        """Whether requests or responses are a stream, so that the call has no end of its own."""
        return self.streams or not isinstance(self.raw, bytes)

    def to_caller(self, message: Message) -> Message:
        """Returns the message as it is sent to the caller."""
        for change in self.outgoing:
            message = change(message)
        return message

    def metadata(self, key: str) -> str:
        """Returns the first value of a metadata key (lower case); empty when the caller sent none."""
        return next(iter(self.all_metadata(key)), "")

    def all_metadata(self, key: str) -> list[str]:
        """Returns all values of a metadata key (lower case), in the order in which they were sent."""
        return [
            value if isinstance(value, str) else value.decode("utf-8", "replace")
            for name, value in self.context.invocation_metadata() or ()
            if name == key
        ]

    def peer_names(self) -> list[str]:
        """Returns the names (subject alternative names) in the TLS certificate of the connection's peer."""
        names = self.context.auth_context().get("x509_subject_alternative_name", [])
        return [name.decode() for name in names]
