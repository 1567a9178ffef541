"""The Python types of fields, parameters and answers, for the classes of the Python client."""

from __future__ import annotations

from collections.abc import Iterator

from google.protobuf.descriptor import (
    Descriptor,
    EnumDescriptor,
    FieldDescriptor,
    FileDescriptor,
    MethodDescriptor,
)

from protos.described import Contracts

JSON = "_json"
REQUIRED, IDENTIFIER = 2, 8
SCALARS = {
    FieldDescriptor.CPPTYPE_BOOL: "bool",
    FieldDescriptor.CPPTYPE_DOUBLE: "float",
    FieldDescriptor.CPPTYPE_FLOAT: "float",
    FieldDescriptor.CPPTYPE_INT32: "int",
    FieldDescriptor.CPPTYPE_INT64: "int",
    FieldDescriptor.CPPTYPE_UINT32: "int",
    FieldDescriptor.CPPTYPE_UINT64: "int",
    FieldDescriptor.CPPTYPE_STRING: "str",
}
KNOWN = {
    "google.protobuf.Timestamp": ("dt.datetime", "dt.datetime"),
    "google.protobuf.Duration": ("dt.timedelta", "dt.timedelta | float"),
    "google.protobuf.Struct": ("dict[str, Any]", "Mapping[str, Any]"),
    "google.protobuf.FieldMask": ("Sequence[str]", "str | Iterable[str]"),
}
# What celeriac.calls adds to the parameters, or sets by itself.
PAGING = {"page_size", "page_token"}


class Types:
    """Types as they are written in the module of one contract."""

    def __init__(self, contracts: Contracts, file: FileDescriptor) -> None:
        self._contracts = contracts
        self._file = file
        self._foreign: dict[str, set[str]] = {}

    def imports(self) -> Iterator[str]:
        """Yields the imports of classes of other modules that were named so far."""
        for module, names in sorted(self._foreign.items()):
            yield f"from {module} import {', '.join(sorted(names))}"

    def is_value(self, message: Descriptor) -> bool:
        """Whether it stands for a Python value: celeriac.calls.fields.value_fields."""
        return len(message.fields) > 0 and all(field.name.endswith("_value") for field in message.fields)

    def kind(self, method: MethodDescriptor) -> str:
        """Returns how it is called: "unary", "list", "watch" or "send"."""
        if method.client_streaming:
            return "send"
        if method.server_streaming:
            return "watch"
        answer = method.output_type
        repeated = [field for field in answer.fields if self._contracts.repeated(field)]
        return "list" if "next_page_token" in answer.fields_by_name and len(repeated) == 1 else "unary"

    def parameters(self, method: MethodDescriptor, kind: str) -> list[FieldDescriptor]:
        """Returns the fields that a caller gives, those of its signature first."""
        left_out = {"list": PAGING, "watch": {"cursor"}}.get(kind, set())
        fields = [field for field in method.input_type.fields if field.name not in left_out]
        return sorted(
            fields, key=lambda field: (not self._positional(method, field), not self._required(field))
        )

    def given(self, field: FieldDescriptor) -> str:
        """Returns the parameter's name: `args` for `args_json`."""
        return str(field.name).removesuffix(JSON)

    def signature(self, method: MethodDescriptor, kind: str) -> Iterator[str]:
        """Yields the parameters, each as it is written in the signature."""
        yield "self"
        fields = self.parameters(method, kind)
        for field in fields:
            if kind == "send" or self._positional(method, field):
                yield f"{self.given(field)}: {self._taken(field)}"
        yield "*"
        for field in fields:
            if kind != "send" and not self._positional(method, field):
                taken = self._taken(field)
                yield f"{self.given(field)}: {taken if self._required(field) else f'{taken} | None = None'}"
        if kind == "list":
            yield "limit: int | None = None"
        yield 'cursor: str = ""' if kind == "watch" else "deadline: Deadline = None"

    def answer(self, method: MethodDescriptor, kind: str, way: str) -> str:
        """Returns the type of what the method returns."""
        answer = method.output_type
        if kind == "list":
            [items] = [field for field in answer.fields if self._contracts.repeated(field)]
            return f"{way}Listing[{self._single(items, 0)}]"
        if kind == "watch":
            return f"{way}Watch[{self._events(answer)}]"
        if not answer.fields:
            return "None"
        only = self._only_message(answer)
        if only is None:
            return answer.name
        found = self._single(only, 0)
        return f"Async{found}" if way and found in {"Run", "Operation"} and self._name_async(only) else found

    def _name_async(self, field: FieldDescriptor) -> bool:
        if field.message_type.file.name != self._file.name:
            self._named(field.message_type, f"Async{field.message_type.name}")
        return True

    def whole_answer(self, method: MethodDescriptor) -> str | None:
        """Returns the name of the answer's message if callers see it as it is."""
        kind, answer = self.kind(method), method.output_type
        lists = kind == "watch" and any(self._contracts.repeated(field) for field in answer.fields)
        whole = kind in {"unary", "send"} and answer.fields and self._only_message(answer) is None
        return answer.name if lists or whole else None

    def read(self, field: FieldDescriptor) -> str:
        """Returns the type of a view's attribute."""
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            entry = field.message_type.fields_by_name
            return f"dict[{self._single(entry['key'], 0)}, {self._single(entry['value'], 0)}]"
        found = self._single(field, 0)
        if self._contracts.repeated(field):
            return f"Sequence[{found}]"
        optional = field.message_type or field.enum_type or field.containing_oneof
        return f"{found} | None" if optional else found

    def _taken(self, field: FieldDescriptor) -> str:
        if field.name.endswith(JSON):
            return {"args_json": "Iterable[Any]", "kwargs_json": "Mapping[str, Any]"}.get(field.name, "Any")
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            entry = field.message_type.fields_by_name
            return f"Mapping[{self._single(entry['key'], 1)}, {self._single(entry['value'], 1)}]"
        found = self._single(field, 1)
        if field.cpp_type == FieldDescriptor.CPPTYPE_STRING and self._refers(field):
            found = "str | View"
        return f"{found} | Iterable[{found}]" if self._contracts.repeated(field) else found

    def _single(self, field: FieldDescriptor, taken: int) -> str:
        if field.enum_type is not None:
            return self._named(field.enum_type, field.enum_type.name)
        if field.message_type is not None:
            return self._of_message(field.message_type, taken)
        if field.type == FieldDescriptor.TYPE_BYTES:
            return "bytes | Sequence[float]" if taken else "bytes"
        return SCALARS[field.cpp_type]

    def _of_message(self, message: Descriptor, taken: int) -> str:
        if message.full_name in KNOWN:
            return KNOWN[message.full_name][taken]
        if self.is_value(message):
            return "Value"
        if taken or not message.full_name.startswith("celeriac."):
            return "View | Mapping[str, Any]" if taken else "View"
        return self._named(message, message.name)

    def _named(self, of: Descriptor | EnumDescriptor, name: str) -> str:
        if of.file.name != self._file.name:
            module = of.file.name.removesuffix(".proto").replace("/", ".")
            self._foreign.setdefault(module, set()).add(name)
        return name

    def _events(self, answer: Descriptor) -> str:
        if "event" in answer.oneofs_by_name:
            return " | ".join(self._single(field, 0) for field in answer.oneofs_by_name["event"].fields)
        if any(self._contracts.repeated(field) for field in answer.fields):
            return answer.name
        return " | ".join(self._single(field, 0) for field in answer.fields if field.message_type)

    def _only_message(self, answer: Descriptor) -> FieldDescriptor | None:
        fields = answer.fields
        one = len(fields) == 1 and fields[0].message_type is not None
        return fields[0] if one and not self._contracts.repeated(fields[0]) else None

    def _positional(self, method: MethodDescriptor, field: FieldDescriptor) -> bool:
        return field.name in self._contracts.signature(method)

    def _required(self, field: FieldDescriptor) -> bool:
        return REQUIRED in self._contracts.field_option(field, "google.api.field_behavior")

    def _refers(self, field: FieldDescriptor) -> bool:
        reference = self._contracts.field_option(field, "google.api.resource_reference")
        return bool(reference.type or reference.child_type)
