"""The TypeScript types of fields, requests and answers, for the interfaces of the TypeScript client."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from google.protobuf.descriptor import (
    Descriptor,
    EnumDescriptor,
    FieldDescriptor,
    FileDescriptor,
    MethodDescriptor,
)

from protos.client_types import IDENTIFIER, JSON, PAGING, REQUIRED, Types
from protos.described import Contracts

SCALARS = {
    FieldDescriptor.CPPTYPE_BOOL: "boolean",
    FieldDescriptor.CPPTYPE_DOUBLE: "number",
    FieldDescriptor.CPPTYPE_FLOAT: "number",
    FieldDescriptor.CPPTYPE_INT32: "number",
    FieldDescriptor.CPPTYPE_INT64: "number",
    FieldDescriptor.CPPTYPE_UINT32: "number",
    FieldDescriptor.CPPTYPE_UINT64: "number",
    FieldDescriptor.CPPTYPE_STRING: "string",
}
# As they are read, and as they are given.
KNOWN = {
    "google.protobuf.Timestamp": ("Date", "Date"),
    "google.protobuf.Duration": ("Milliseconds", "Length"),
    "google.protobuf.Struct": ("JsonObject", "JsonObject"),
    "google.type.LatLng": ("LatLng", "LatLng"),
    "google.protobuf.FieldMask": ("readonly string[]", "readonly string[]"),
}
# Values that are JSON in messages. A role that may not read one gets the text in place of it.
GIVEN_JSON = {
    "args_json": 'readonly unknown[] | "[redacted]"',
    "kwargs_json": 'Readonly<Record<string, unknown>> | "[redacted]"',
}


def camel(name: str) -> str:
    """Returns the name of a field as protobuf-es has it: "nextRunTime"."""
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)


class TypeScriptTypes:
    """Types as they are written in the module of one contract."""

    def __init__(self, contracts: Contracts, file: FileDescriptor) -> None:
        self.contracts = contracts
        self._file = file
        self._types = Types(contracts, file)
        self._foreign: dict[str, set[str]] = {}

    def imports(self) -> Iterator[str]:
        """Yields the imports of interfaces of other modules that were named so far."""
        here = self._file.name.count("/") - 1
        for module, names in sorted(self._foreign.items()):
            yield f'import type {{ {", ".join(sorted(names))} }} from "{"../" * here}{module}.js";'

    def kind(self, method: MethodDescriptor) -> str:
        return self._types.kind(method)

    def is_value(self, message: Descriptor) -> bool:
        return self._types.is_value(message)

    def read(self, field: FieldDescriptor) -> str:
        """Returns the type of a field of an answer."""
        if entry := map_entry(field):
            return f"Readonly<Record<string, {self._single(entry['value'], 0)}>>"
        found = self._single(field, 0)
        return _list_of(found) if self.contracts.repeated(field) else found

    def given(self, field: FieldDescriptor) -> str:
        """Returns the type of a field of a request."""
        if field.name.endswith(JSON):
            return GIVEN_JSON.get(field.name, "unknown")
        if entry := map_entry(field):
            return f"Readonly<Record<string, {self._single(entry['value'], 1)}>>"
        found = self._single(field, 1)
        return _list_of(found) if self.contracts.repeated(field) else found

    def can_be_unset(self, field: FieldDescriptor) -> bool:
        if self.contracts.repeated(field) or self.is_required(field):
            return False
        return bool(field.message_type or field.enum_type or field.containing_oneof)

    def is_required(self, field: FieldDescriptor) -> bool:
        behavior = self.contracts.field_option(field, "google.api.field_behavior")
        return REQUIRED in behavior or IDENTIFIER in behavior

    def parameters(self, method: MethodDescriptor) -> list[FieldDescriptor]:
        """Returns the fields that a caller gives."""
        left_out = {"list": PAGING, "watch": {"cursor"}}.get(self.kind(method), set())
        return [field for field in method.input_type.fields if field.name not in left_out]

    def answer(self, method: MethodDescriptor) -> str:
        """Returns the type of what the method returns."""
        kind, answer = self.kind(method), method.output_type
        if kind == "list":
            return f"Listing<{self._single(self.items(method), 0)}>"
        if kind == "watch":
            return f"Watch<{self._events(answer)}>"
        if not answer.fields:
            return "Promise<void>"
        only = self.only_message(method)
        found = self.named(answer, answer.name) if only is None else self._single(only, 0)
        return f"Promise<{found}>"

    def items(self, method: MethodDescriptor) -> FieldDescriptor:
        [items] = [field for field in method.output_type.fields if self.contracts.repeated(field)]
        return items

    def only_message(self, method: MethodDescriptor) -> FieldDescriptor | None:
        """Returns the field of an answer that has nothing but one message."""
        fields = method.output_type.fields
        one = len(fields) == 1 and fields[0].message_type is not None
        return fields[0] if one and not self.contracts.repeated(fields[0]) else None

    def _events(self, answer: Descriptor) -> str:
        if "event" in answer.oneofs_by_name:
            members = answer.oneofs_by_name["event"].fields
            return " | ".join(f"Event<{camel(field.name)!r}, {self._event(field)}>" for field in members)
        lists = [field for field in answer.fields if self.contracts.repeated(field)]
        if lists:
            return f'{{ readonly type: "{camel(lists[0].name)}" }} & {self.named(answer, answer.name)}'
        [told] = [field for field in answer.fields if field.message_type]
        return f"Event<{camel(told.name)!r}, {self._single(told, 0)}>"

    def _event(self, field: FieldDescriptor) -> str:
        """Returns the list itself for a message that is nothing but a list."""
        [*inner] = field.message_type.fields
        return self.read(inner[0]) if _is_only_a_list(self.contracts, field) else self._single(field, 0)

    def _single(self, field: FieldDescriptor, given: int) -> str:
        if field.enum_type is not None:
            return self.named(field.enum_type, field.enum_type.name)
        if field.message_type is not None:
            return self._of_message(field.message_type, given)
        if field.type == FieldDescriptor.TYPE_BYTES:
            return "Uint8Array | readonly number[]" if given else "Uint8Array"
        return SCALARS[field.cpp_type]

    def _of_message(self, message: Descriptor, given: int) -> str:
        if message.full_name in KNOWN:
            return KNOWN[message.full_name][given]
        if self.is_value(message):
            return "Value"
        return self.named(message, f"{message.name}Input" if given else message.name)

    def named(self, of: Any, name: str) -> str:
        """Returns the name, which is imported if it is of another contract."""
        if of.file.name != self._file.name:
            module = of.file.name.removeprefix("celeriac/").removesuffix(".proto")
            self._foreign.setdefault(module, set()).add(name)
        return name


def map_entry(field: FieldDescriptor) -> Any:
    """Returns the fields of a map's entry, by their names; None if the field is no map."""
    is_map = field.message_type is not None and field.message_type.GetOptions().map_entry
    return field.message_type.fields_by_name if is_map else None


def union_of(enum: EnumDescriptor) -> str:
    """Returns the enum's names, without what they have in common: '"PENDING" | "SUCCESS"'."""
    prefix = enum.values_by_number[0].name.removesuffix("UNSPECIFIED")
    return " | ".join(f'"{value.name.removeprefix(prefix)}"' for value in enum.values if value.number)


def _is_only_a_list(contracts: Contracts, field: FieldDescriptor) -> bool:
    inner = field.message_type.fields
    return len(inner) == 1 and contracts.repeated(inner[0])


def _list_of(found: str) -> str:
    return f"readonly ({found})[]" if " | " in found else f"readonly {found}[]"
