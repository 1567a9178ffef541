"""Refuses requests that set a field which the contract once had: their sender has stubs of an older version.

Protobuf ignores fields that it does not know, so that a filter which moved to another number would be no
filter any more, in silence. The contracts reserve the numbers of fields that are gone, and never use them
again: a request with one of these is refused with its name. Numbers that the contract never had are ignored
as usual, so that newer clients can speak to an older server.
"""

from __future__ import annotations

import functools
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.descriptor_pb2 import DescriptorProto
from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet

from services.kernel.errors import FieldFault, Invalid

EXAMPLE = "a request by stubs of this version (docs/contracts-0.2.md says what changed)"


def refuse_withdrawn_fields(request: Message) -> None:
    """Raises `Invalid` that names the message and the number of each such field in the request."""
    descriptor: Any = request.DESCRIPTOR
    if _may_have_withdrawn(descriptor):
        faults = _faults(request, "")
        if faults:
            raise Invalid(faults)


@functools.cache
def _withdrawn(descriptor: Descriptor) -> frozenset[int]:
    """Returns the numbers that the message type reserves."""
    stated = DescriptorProto()
    descriptor.CopyToProto(stated)
    return frozenset(
        number for reserved in stated.reserved_range for number in range(reserved.start, reserved.end)
    )


@functools.cache
def _ways(descriptor: Descriptor) -> tuple[FieldDescriptor, ...]:
    """Returns the fields whose messages may have such fields. Maps are not looked into."""
    return tuple(
        field
        for field in descriptor.fields
        if field.message_type is not None
        and not field.message_type.GetOptions().map_entry
        and field.message_type is not descriptor
        and _may_have_withdrawn(field.message_type)
    )


@functools.cache
def _may_have_withdrawn(descriptor: Descriptor) -> bool:
    ours = descriptor.full_name.startswith("celeriac.")
    return ours and bool(_withdrawn(descriptor) or _ways(descriptor))


def _faults(message: Message, path: str) -> list[FieldFault]:
    descriptor: Any = message.DESCRIPTOR
    withdrawn = _withdrawn(descriptor)
    # The library's types don't say that it can be iterated over.
    unknown: Any = UnknownFieldSet(message) if withdrawn else ()
    numbers = sorted({field.field_number for field in unknown} & withdrawn)
    faults = [
        FieldFault(
            f"{path}{number}",
            f"is a number that {descriptor.full_name} no longer has: the request was made by older stubs",
            EXAMPLE,
        )
        for number in numbers
    ]
    for field in _ways(descriptor):
        value = getattr(message, field.name)
        if field.is_repeated:
            for position, each in enumerate(value):
                faults += _faults(each, f"{path}{field.name}[{position}].")
        elif message.HasField(field.name):
            faults += _faults(value, f"{path}{field.name}.")
    return faults
