"""How proto JSON writes each type, and an example of each field: what callers are shown is a valid value."""

from __future__ import annotations

import itertools
import json
import re
from typing import Any

from google.api import resource_pb2
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor, FileDescriptor

# A text field whose name ends so holds JSON; REST callers may write the value under the name without it.
JSON_TEXT = "_json"
WHOLE = "a whole number"
# Of a scalar type: its form (rest/contracts.lua), what it is called, and an example.
SCALARS: dict[int, tuple[str, str, Any]] = {
    FieldDescriptor.TYPE_STRING: ("text", "a text", "text"),
    FieldDescriptor.TYPE_BYTES: ("base64", "a text in base64", "AAAA"),
    FieldDescriptor.TYPE_BOOL: ("bool", "true or false", True),
    FieldDescriptor.TYPE_DOUBLE: ("real", "a number", 0.5),
    FieldDescriptor.TYPE_FLOAT: ("real", "a number", 0.5),
    FieldDescriptor.TYPE_INT32: ("int32", f"{WHOLE} of 32 bits", 10),
    FieldDescriptor.TYPE_SINT32: ("int32", f"{WHOLE} of 32 bits", 10),
    FieldDescriptor.TYPE_SFIXED32: ("int32", f"{WHOLE} of 32 bits", 10),
    FieldDescriptor.TYPE_UINT32: ("uint32", f"{WHOLE} of 32 bits, not negative", 10),
    FieldDescriptor.TYPE_FIXED32: ("uint32", f"{WHOLE} of 32 bits, not negative", 10),
    FieldDescriptor.TYPE_INT64: ("int64", f"{WHOLE} of 64 bits", 10),
    FieldDescriptor.TYPE_SINT64: ("int64", f"{WHOLE} of 64 bits", 10),
    FieldDescriptor.TYPE_SFIXED64: ("int64", f"{WHOLE} of 64 bits", 10),
    FieldDescriptor.TYPE_UINT64: ("uint64", f"{WHOLE} of 64 bits, not negative", 10),
    FieldDescriptor.TYPE_FIXED64: ("uint64", f"{WHOLE} of 64 bits, not negative", 10),
}
# Messages that proto JSON writes in a form of their own (https://protobuf.dev/programming-guides/json/).
TEXTS: dict[str, tuple[str, str, Any]] = {
    "google.protobuf.Timestamp": ("time", "a time, as RFC 3339 has it", "2026-11-30T08:00:00Z"),
    "google.protobuf.Duration": ("seconds", "a number of seconds with an s", "30s"),
    "google.protobuf.FieldMask": ("mask", "names of fields with commas between", "name"),
}
VALUE = "google.protobuf.Value"
OPEN = {
    "google.protobuf.Struct": {"limit": 10},
    "google.protobuf.Any": {"@type": "type.googleapis.com/google.protobuf.Duration", "value": "30s"},
}
LIST = "google.protobuf.ListValue"
WRAPPERS = {
    f"google.protobuf.{name}Value"
    for name in ("Bool", "String", "Bytes", "Float", "Double", "Int32", "Int64", "UInt32", "UInt64")
}
SPECIAL = {*TEXTS, *OPEN, *WRAPPERS, VALUE, LIST}


def message_of(field: FieldDescriptor) -> Descriptor:
    """Returns the type of a field that has a message."""
    assert field.message_type is not None
    described: Descriptor = field.message_type
    return described


def short_names(described: EnumDescriptor) -> dict[str, str]:
    """The values' names without what they have in common: TASK_STATE_FAILURE is FAILURE."""
    names = [value.name for value in described.values]
    together = itertools.takewhile(lambda letters: len(set(letters)) == 1, zip(*names, strict=False))
    common = "".join(letters[0] for letters in together)
    prefix = common[: common.rfind("_") + 1]
    short = {name: name.removeprefix(prefix) for name in names}
    # A name that begins with a digit could be taken for the number of a value.
    return short if all(name[:1].isalpha() for name in short.values()) else {name: name for name in names}


def json_name(field: FieldDescriptor) -> str | None:
    containing: Any = field.containing_type
    name = field.name.removesuffix(JSON_TEXT)
    is_text = field.type == FieldDescriptor.TYPE_STRING and not field.is_repeated
    if name == field.name or not is_text or name in containing.fields_by_name:
        return None
    return str(name)


def is_map(field: FieldDescriptor) -> bool:
    message = field.message_type
    return message is not None and bool(message.GetOptions().map_entry)


def is_plain(field: FieldDescriptor) -> bool:
    """Whether the field is a message that proto JSON writes as an object with the message's fields."""
    return (
        field.message_type is not None and not is_map(field) and field.message_type.full_name not in SPECIAL
    )


def example(field: FieldDescriptor, above: tuple[str, ...] = ()) -> Any:
    if is_map(field):
        return {"team": _one(message_of(field).fields_by_name["value"], above)}
    one = _one(field, above)
    return [one] if field.is_repeated else one


def _one(field: FieldDescriptor, above: tuple[str, ...]) -> Any:
    if field.enum_type is not None:
        return list(short_names(field.enum_type).values())[:2][-1]
    if field.message_type is None:
        return _resource_name(field) or SCALARS[field.type][2]
    name = field.message_type.full_name
    if name in TEXTS:
        return TEXTS[name][2]
    if name in WRAPPERS:
        return _one(message_of(field).fields_by_name["value"], above)
    if name in OPEN:
        return OPEN[name]
    if name in {VALUE, LIST}:
        return [2, 3]
    return example_of(field.message_type, above)


def _resource_name(field: FieldDescriptor) -> str | None:
    """For a field that names a resource (AIP-122): "schedules/example". None for others."""
    # protoc's own stubs type an extension as a bare FieldDescriptor.
    own: Any = resource_pb2.resource
    reference: Any = resource_pb2.resource_reference
    containing: Any = field.containing_type
    named = field.GetOptions().Extensions[reference].type
    if field.name == "name" and not named:
        named = containing.GetOptions().Extensions[own].type
    pattern = _patterns(containing.file).get(named)
    return re.sub(r"\{\w+\}", "example", pattern) if pattern else None


def _patterns(file: FileDescriptor) -> dict[str, str]:
    """The pattern of each resource that the file or one of its imports describes, by its type."""
    own: Any = resource_pb2.resource
    found: dict[str, str] = {}
    for imported in file.dependencies:
        found |= _patterns(imported)
    for message in file.message_types_by_name.values():
        resource = message.GetOptions().Extensions[own]
        if resource.pattern:
            found[resource.type] = resource.pattern[0]
    return found


def example_of(described: Descriptor, above: tuple[str, ...] = ()) -> dict[str, Any]:
    """The message with its first field, and so on within; nothing for a message within itself."""
    if not described.fields or described.full_name in above:
        return {}
    field = described.fields[0]
    return {field.name: example(field, (*above, described.full_name))}


def shown(example: Any) -> str:
    return json.dumps(example, ensure_ascii=False)


def parameter(example: Any) -> str:
    single = example[0] if isinstance(example, list) else example
    return single if isinstance(single, str) else shown(single)
