"""Every answer of the contracts, as each role reads it: marked fields are hidden, the others are not."""

from __future__ import annotations

from typing import Any

import pytest
from celeriac.access.v1 import policy_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message_factory import GetMessageClass

from services.kernel.grpc.readable import as_read_by
from services.kernel.identity import Role
from tests.support.contract_server import METHODS

READABLE_FROM: Any = policy_pb2.readable_from
ANSWERS: dict[str, Descriptor] = {
    method.output_type.full_name: method.output_type for method in METHODS.values()
}
DEPTH = 5
CLEAR, HIDDEN = "in clear", "[redacted]"
VALUES: dict[int, Any] = {
    FieldDescriptor.TYPE_STRING: CLEAR,
    FieldDescriptor.TYPE_BYTES: b"in clear",
    FieldDescriptor.TYPE_BOOL: True,
}
# What each role may read of a field that names the least one.
READS = {
    Role.VIEWER: {Role.VIEWER},
    Role.WRITER: set[Role](),
    Role.ADMIN: {Role.VIEWER, Role.ADMIN},
    Role.SUPER_ADMIN: {Role.VIEWER, Role.ADMIN, Role.SUPER_ADMIN},
    Role.SERVICE: {Role.VIEWER, Role.ADMIN, Role.SUPER_ADMIN},
    None: set[Role](),
}


def value_of_map(field: FieldDescriptor) -> FieldDescriptor | None:
    """The field of a map's values; None for a field that is no map."""
    entry: Descriptor | None = field.message_type
    return entry.fields_by_name["value"] if entry and entry.GetOptions().map_entry else None


def filled(kind: Descriptor, depth: int = DEPTH) -> Any:
    """A message in which each field is set, of a oneof the last one."""
    message = GetMessageClass(kind)()
    for field in kind.fields:
        held = getattr(message, field.name)
        if in_map := value_of_map(field):
            if in_map.message_type is not None:
                held["key"].CopyFrom(filled(in_map.message_type, depth - 1))
            else:
                held["key"] = VALUES.get(in_map.type, 1)
        elif field.message_type is not None:
            if depth:
                inner = filled(field.message_type, depth - 1)
                held.append(inner) if field.is_repeated else held.CopyFrom(inner)
        else:
            one = VALUES.get(field.type, 1)
            held.extend([one, one]) if field.is_repeated else setattr(message, field.name, one)
    return message


def as_it_should_be(message: Any, role: Role | None) -> Any:
    """The message with each marked field hidden, by another way than the kernel's."""
    seen = type(message)()
    for field, value in message.ListFields():
        least = field.GetOptions().Extensions[READABLE_FROM]
        hidden = bool(least) and Role(least) not in READS[role]
        held = getattr(seen, field.name)
        if in_map := value_of_map(field):
            for key, one in value.items():
                if in_map.message_type is not None:
                    if not hidden:
                        held[key].CopyFrom(as_it_should_be(one, role))
                elif isinstance(one, str) or not hidden:
                    held[key] = HIDDEN if hidden else one
        elif field.message_type is not None:
            if hidden:
                continue
            if field.is_repeated:
                held.extend(as_it_should_be(one, role) for one in value)
            else:
                held.CopyFrom(as_it_should_be(value, role))
        elif hidden and field.type != FieldDescriptor.TYPE_STRING:
            continue
        elif field.is_repeated:
            held.extend([HIDDEN] * len(value) if hidden else value)
        else:
            setattr(seen, field.name, HIDDEN if hidden else value)
    return seen


@pytest.mark.parametrize("role", READS, ids=lambda role: role.label if role else "nobody")
@pytest.mark.parametrize("name", ANSWERS)
def test_a_role_reads_what_the_contract_says(name: str, role: Role | None) -> None:
    whole = filled(ANSWERS[name])
    seen = as_read_by(role, whole)
    assert seen == as_it_should_be(whole, role)
    assert seen.ByteSize() > 0 or not ANSWERS[name].fields
