"""Converts between the contracts' messages and domain objects. Faults of a request are collected by field."""

from __future__ import annotations

import re

import numpy as np
from celeriac.embedder.v1 import messages_pb2 as pb
from celeriac.embedder.v1 import search_pb2
from celeriac.operations.v1 import operations_pb2
from numpy.typing import NDArray

from services.embedder.bulk.operations import Operation, OperationState
from services.embedder.messages.messages import Message, MessageFilter, Role
from services.kernel.grpc.enums import from_wire, wire_values
from services.kernel.grpc.wire import moment_in, timestamp, window_in
from services.kernel.validation import Faults

MOST_CHARACTERS = 100_000
NAME = re.compile(r"messages/[A-Za-z0-9._:-]{1,200}")
OPERATION_NAME = re.compile(r"operations/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
NAME_EXAMPLE = "messages/chat-42:7"
ROLES = wire_values(pb.MessageRole, Role)
ROLES_FROM_WIRE = from_wire(ROLES)
STATES = wire_values(operations_pb2.OperationState, OperationState)


def message_id(name: str, faults: Faults, field: str = "name") -> str:
    fault = f"is {name[:100]!r}, not messages/ and 1 to 200 letters, digits and ._:-"
    faults.unless(NAME.fullmatch(name) is not None, field, fault, NAME_EXAMPLE)
    return name.removeprefix("messages/")


def operation_id(name: str) -> str:
    faults = Faults()
    fault = f"is {name[:100]!r}, not the name of an operation"
    example = "operations/6f1c2a52-8a1e-4b0f-9d6e-2f7f3c1f0a11"
    faults.unless(OPERATION_NAME.fullmatch(name) is not None, "name", fault, example)
    faults.raise_any()
    return name.removeprefix("operations/")


def message_from(sent: pb.Message, field: str, faults: Faults) -> Message:
    inner = Faults()
    found = message_id(sent.name, faults, f"{field}.name")
    faults.name(f"{field}.conversation", sent.conversation, "chat-42", most=200)
    known = sent.role in ROLES_FROM_WIRE
    faults.unless(known, f"{field}.role", f"is {sent.role}, not USER or ASSISTANT", "MESSAGE_ROLE_USER")
    faults.text(f"{field}.text", sent.text, "帳單要在哪裡看？", most=MOST_CHARACTERS)
    created = moment_in(sent, "create_time", inner)
    fault = "is not a time between the years 1 and 9999"
    faults.unless(not inner, f"{field}.create_time", fault, "2026-11-24T00:00:00Z")
    return Message(found, sent.conversation, ROLES_FROM_WIRE.get(sent.role, Role.USER), sent.text, created)


def message_to(message: Message) -> pb.Message:
    return pb.Message(
        name=f"messages/{message.id}",
        conversation=message.conversation,
        role=ROLES[message.role],
        text=message.text,
        create_time=timestamp(message.created_at),
    )


def operation_to(operation: Operation) -> operations_pb2.Operation:
    return operations_pb2.Operation(
        name=f"operations/{operation.id}",
        kind=operation.kind,
        state=STATES[operation.state],
        total=operation.total,
        done=operation.done,
        failed=operation.failed,
        rate=operation.rate,
        create_time=timestamp(operation.created_at),
        end_time=timestamp(operation.ended_at),
    )


def role_in(number: int, faults: Faults) -> Role | None:
    known = number == 0 or number in ROLES_FROM_WIRE
    faults.unless(known, "role", f"is {number}, not a MessageRole", "MESSAGE_ROLE_USER")
    return ROLES_FROM_WIRE.get(number)


def list_filter(request: pb.ListMessagesRequest, faults: Faults) -> MessageFilter:
    faults.text("conversation", request.conversation, "chat-42", most=200, required=False)
    return MessageFilter(role_in(request.role, faults), request.conversation)


def search_filter(request: search_pb2.SearchMessagesRequest, faults: Faults) -> MessageFilter:
    faults.text("conversation", request.conversation, "chat-42", most=200, required=False)
    start, end = window_in(request, faults)
    return MessageFilter(role_in(request.role, faults), request.conversation, start, end)


def vector_from(raw: bytes, faults: Faults) -> NDArray[np.float32] | None:
    """Returns the vector scaled to length 1; None, with a fault added, if it is not valid."""
    example = "4096 bytes: 1024 little-endian float32"
    if not faults.unless(len(raw) == 4096, "vector", f"has {len(raw)} bytes, it needs 4096", example):
        return None
    vector = np.frombuffer(raw, dtype="<f4").astype(np.float32)
    with np.errstate(over="ignore"):
        length = float(np.linalg.norm(vector.astype(np.float64)))
    sound = bool(np.isfinite(vector).all()) and length > 0
    if not faults.unless(sound, "vector", "has numbers that are not finite, or is all zero", example):
        return None
    return (vector / length).astype(np.float32)
