"""Ninth step: hides what the caller's role may not read (`celeriac.access.v1.readable_from`) in answers.

For a caller below the role that a field names, "[redacted]" stands in place of a text, of each text in a list
and of each value in a map of texts; a field of another type is left unset. A field that is unset stays unset.

A server may set another least role for a field (`Readers`), as its operator wishes.

What is to be hidden in a message type is found from its descriptor once for each role. A message of a type
without such fields is sent as it is. Any other message is copied first, because a stream may send one message
to several readers, whose roles differ.
"""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

from celeriac.access.v1 import policy_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from services.kernel.grpc.call import Call
from services.kernel.grpc.server import Step
from services.kernel.identity import Role
from services.kernel.redaction import REDACTED

# Changes one field of a message in place. Any: the fields of a message that is not known here.
Hide: TypeAlias = Callable[[Any], None]

# Fields by their full name ("celeriac.monitor.v1.Task.args"), and the least role that reads each in this
# process.
Readers: TypeAlias = frozenset[tuple[str, Role]]
AS_DECLARED: Readers = frozenset()

# protoc's own stubs type an extension as a bare FieldDescriptor.
_readable_from: Any = policy_pb2.readable_from


def hide_unreadable(readers: Readers = AS_DECLARED) -> Step:
    """Returns the step."""

    @asynccontextmanager
    async def hide(call: Call) -> AsyncIterator[None]:
        role = call.identity.role if call.identity else None
        call.outgoing.append(lambda message: as_read_by(role, message, readers))
        yield

    return hide


def as_read_by(role: Role | None, message: Message, readers: Readers = AS_DECLARED) -> Message:
    """Returns the message as a caller with this role reads it; None is a caller without identity.

    The message itself is not changed. It is returned if nothing in a message of its type is to be hidden.
    """
    hides = _hides_in(message.DESCRIPTOR, role, readers)
    if not hides:
        return message
    seen = type(message)()
    seen.CopyFrom(message)
    _apply(hides, seen)
    return seen


def _apply(hides: tuple[Hide, ...], message: Any) -> None:
    for hide in hides:
        hide(message)


@functools.cache
def _hides_in(kind: Descriptor, role: Role | None, readers: Readers) -> tuple[Hide, ...]:
    """Returns what to do with a message of this type, so that a caller with this role can read it."""
    found = []
    for field in kind.fields:
        if _is_hidden(field, role, readers):
            found.append(_hiding(field))
        elif (inner := _message_in(field)) is not None and _holds_hidden(inner, role, readers):
            found.append(_hiding_within(field, inner, role, readers))
    return tuple(found)


@functools.cache
def _holds_hidden(kind: Descriptor, role: Role | None, readers: Readers) -> bool:
    """Whether a message of this type, or one within it at any depth, has a field to be hidden."""
    reached, waiting = {kind.full_name}, [kind]
    while waiting:
        for field in waiting.pop().fields:
            if _is_hidden(field, role, readers):
                return True
            inner = _message_in(field)
            if inner is not None and inner.full_name not in reached:
                reached.add(inner.full_name)
                waiting.append(inner)
    return False


def _is_hidden(field: FieldDescriptor, role: Role | None, readers: Readers) -> bool:
    declared = field.GetOptions().Extensions[_readable_from]
    least = dict(readers).get(field.full_name) or (Role(declared) if declared else None)
    if least is None or role is Role.SERVICE:
        return False
    return role is None or not role.reaches(least)


def _message_in(field: FieldDescriptor) -> Descriptor | None:
    """Returns the type of the message, or of the messages, in a field; None for a field of another type."""
    kind: Descriptor | None = field.message_type
    if kind is not None and kind.GetOptions().map_entry:
        kind = kind.fields_by_name["value"].message_type
    return kind


def _is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def _hiding(field: FieldDescriptor) -> Hide:
    name = field.name
    entry: Descriptor | None = field.message_type if _is_map(field) else None
    kept = entry.fields_by_name["value"] if entry else field

    def text(message: Any) -> None:
        if getattr(message, name):
            setattr(message, name, REDACTED)

    def texts(message: Any) -> None:
        values = getattr(message, name)
        values[:] = [REDACTED] * len(values)

    def texts_by_key(message: Any) -> None:
        values = getattr(message, name)
        for key in list(values):
            values[key] = REDACTED

    def other(message: Any) -> None:
        message.ClearField(name)

    if kept.type != FieldDescriptor.TYPE_STRING:
        return other
    if entry:
        return texts_by_key
    return texts if field.is_repeated else text


def _hiding_within(field: FieldDescriptor, inner: Descriptor, role: Role | None, readers: Readers) -> Hide:
    name = field.name

    def one(message: Any) -> None:
        if message.HasField(name):
            _apply(_hides_in(inner, role, readers), getattr(message, name))

    def each(message: Any) -> None:
        hides = _hides_in(inner, role, readers)
        for value in getattr(message, name):
            _apply(hides, value)

    def each_by_key(message: Any) -> None:
        hides = _hides_in(inner, role, readers)
        for value in getattr(message, name).values():
            _apply(hides, value)

    if _is_map(field):
        return each_by_key
    return each if field.is_repeated else one
