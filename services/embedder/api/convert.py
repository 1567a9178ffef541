"""Converts between the contracts' messages and domain objects. Faults of a request are collected by field."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from celeriac.embedder.v1 import messages_pb2 as pb
from celeriac.embedder.v1 import search_pb2
from numpy.typing import NDArray

from services.embedder.messages.messages import Message, MessageFilter, Role
from services.kernel.grpc.enums import from_wire, wire_values
from services.kernel.grpc.wire import moment_in, timestamp, window_in
from services.kernel.validation import Faults

MOST_CHARACTERS = 100_000
# "." and ".." can't stand in a path of REST.
NAME = re.compile(r"messages/(?!\.{1,2}$)[A-Za-z0-9._:-]{1,200}")
NAME_EXAMPLE = "messages/chat-42:7"
CONVERSATION_EXAMPLE = "conversations/chat-42"
LONGEST_CONVERSATION = 200
ROLES = wire_values(pb.MessageRole, Role)
ROLES_FROM_WIRE = from_wire(ROLES)


def message_id(name: str, faults: Faults, field: str = "name") -> str:
    fault = f"is {name[:100]!r}, not messages/ and 1 to 200 letters, digits and ._:-"
    faults.unless(NAME.fullmatch(name) is not None, field, fault, NAME_EXAMPLE)
    return name.removeprefix("messages/")


def conversation_id(name: str, faults: Faults, field: str = "conversation", *, required: bool = True) -> str:
    """Returns the id in "conversations/{id}"; empty, if `required` is False, for a name that is not set."""
    prefix, _, found = name.partition("conversations/")
    if not name and not required:
        return ""
    sound = not prefix and bool(found)
    fault = f"is {name[:100]!r}, not conversations/ and an id"
    if faults.unless(sound, field, fault, CONVERSATION_EXAMPLE):
        most = len("conversations/") + LONGEST_CONVERSATION
        faults.name(field, name, CONVERSATION_EXAMPLE, most=most)
    return found


def message_from(sent: pb.Message, field: str, faults: Faults) -> Message:
    inner = Faults()
    found = message_id(sent.name, faults, f"{field}.name")
    conversation = conversation_id(sent.conversation, faults, f"{field}.conversation")
    known = sent.role in ROLES_FROM_WIRE
    faults.unless(known, f"{field}.role", f"is {sent.role}, not USER or ASSISTANT", "MESSAGE_ROLE_USER")
    faults.text(f"{field}.text", sent.text, "帳單要在哪裡看？", most=MOST_CHARACTERS)
    created = moment_in(sent, "create_time", inner)
    fault = "is not a time between the years 1 and 9999"
    faults.unless(not inner, f"{field}.create_time", fault, "2026-11-24T00:00:00Z")
    return Message(found, conversation, ROLES_FROM_WIRE.get(sent.role, Role.USER), sent.text, created)


def message_to(message: Message) -> pb.Message:
    return pb.Message(
        name=f"messages/{message.id}",
        conversation=f"conversations/{message.conversation}",
        role=ROLES[message.role],
        text=message.text,
        create_time=timestamp(message.created_at),
    )


def role_in(number: int, faults: Faults, field: str = "role") -> Role | None:
    known = number == 0 or number in ROLES_FROM_WIRE
    faults.unless(known, field, f"is {number}, not a MessageRole", "MESSAGE_ROLE_USER")
    return ROLES_FROM_WIRE.get(number)


def roles_in(numbers: Sequence[int], faults: Faults) -> frozenset[Role]:
    for position, number in enumerate(numbers):
        fault = f"is {number}, not USER or ASSISTANT"
        faults.unless(number in ROLES_FROM_WIRE, f"roles[{position}]", fault, "MESSAGE_ROLE_USER")
    return frozenset(ROLES_FROM_WIRE[number] for number in numbers if number in ROLES_FROM_WIRE)


def list_filter(request: pb.ListMessagesRequest, faults: Faults) -> MessageFilter:
    conversation = conversation_id(request.conversation, faults, required=False)
    return MessageFilter(roles_in(request.roles, faults), conversation)


def search_filter(request: search_pb2.SearchMessagesRequest, faults: Faults) -> MessageFilter:
    conversation = conversation_id(request.conversation, faults, required=False)
    start, end = window_in(request, faults)
    return MessageFilter(roles_in(request.roles, faults), conversation, start, end)


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
