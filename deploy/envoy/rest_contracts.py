"""What the check of REST calls knows of the contracts: paths, messages and enums, as plain tables.

The tables are what `rest/contracts.lua` reads.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from google.protobuf.descriptor import (
    Descriptor,
    EnumDescriptor,
    FieldDescriptor,
    FileDescriptor,
    MethodDescriptor,
)

from deploy.envoy.contracts import rest_bindings
from deploy.envoy.rest_examples import (
    LIST,
    OPEN,
    SCALARS,
    TEXTS,
    VALUE,
    WRAPPERS,
    example,
    example_of,
    is_map,
    is_plain,
    json_name,
    message_of,
    parameter,
    short_names,
    shown,
)
from services.kernel.policy import policy_of


def rest_contracts(files: Iterable[FileDescriptor]) -> dict[str, Any]:
    """Returns the tables `routes`, `messages` and `enums` of the REST paths of these contracts."""
    tables = _Tables()
    routes = [
        _route(method, *binding, tables)
        for file in files
        for service in file.services_by_name.values()
        for method in service.methods
        for binding in rest_bindings(method)
    ]
    # A name before any name, as in the transcoder.
    routes.sort(key=lambda route: route["segments"].count("*"))
    return {"routes": routes, "messages": tables.messages, "enums": tables.enums}


class _Tables:
    """Messages and enums by their full names; each is described when it is first met."""

    def __init__(self) -> None:
        self.messages: dict[str, Any] = {}
        self.enums: dict[str, Any] = {}

    def message(self, described: Descriptor) -> str:
        name = str(described.full_name)
        if name not in self.messages:
            # Set first, as a message may have itself as a field.
            self.messages[name] = table = {
                "label": described.name,
                "example": shown(example_of(described)),
                "oneofs": [
                    {"names": ", ".join(field.name for field in one.fields)} for one in described.oneofs
                ],
            }
            table["order"] = [self._named_field(field) for field in described.fields]
        return name

    def enum(self, described: EnumDescriptor) -> str:
        name = str(described.full_name)
        short = short_names(described)
        values = {value: full for full, value in short.items()} | {full: full for full in short}
        self.enums[name] = {"label": described.name, "values": values, "all": list(short.values())}
        return name

    def _named_field(self, field: FieldDescriptor) -> dict[str, Any]:
        json_text = json_name(field)
        written, value = json_text or field.name, example(field)
        if json_text is not None:
            value = [2, 3] if json_text == "args" else {"limit": 10}
        one = field.containing_oneof
        # A field with presence has a oneof of its own.
        several = one is not None and len(one.fields) > 1
        inner = message_of(field).fields[0].name if is_plain(field) and message_of(field).fields else None
        return {
            "name": field.name,
            "camel": field.json_name,
            "json": json_text,
            "repeated": field.is_repeated and not is_map(field),
            "oneof": one.index + 1 if one is not None and several else None,
            "example": shown({written: value}),
            "parameter": f"{field.name}={parameter(value)}",
            "inner": f"{field.name}.{inner}=…" if inner and not field.is_repeated else None,
            **self._value(field),
        }

    def _value(self, field: FieldDescriptor) -> dict[str, Any]:
        """What a value of the field may be; of a list, an element."""
        value = {"value": shown(example(field))}
        if is_map(field):
            entry = self._value(message_of(field).fields_by_name["value"])
            return {"map": True, "entry": entry, "wanted": "an object", **value}
        if field.enum_type is not None:
            name = self.enum(field.enum_type)
            return {"kind": "enum", "enum": name, "wanted": f"a name of {field.enum_type.name}", **value}
        if field.message_type is None:
            kind, wanted, _ = SCALARS[field.type]
            return {"kind": kind, "wanted": wanted, **value}
        name = str(message_of(field).full_name)
        if name in TEXTS:
            kind, wanted, _ = TEXTS[name]
            return {"kind": kind, "wanted": wanted, **value}
        if name in WRAPPERS:
            return self._value(message_of(field).fields_by_name["value"])
        if name in OPEN:
            return {"open": True, "wanted": "an object", **value}
        if name == VALUE:
            return {"any": True, "null": True, "wanted": "a value", **value}
        if name == LIST:
            return {"list": True, "wanted": "a list", **value}
        return {"message": self.message(message_of(field)), "wanted": "an object", **value}


def _route(method: MethodDescriptor, verb: str, path: str, body: str, tables: _Tables) -> dict[str, Any]:
    segments, suffix, variables = _segments(path)
    request = method.input_type
    body_message = None
    if body not in {"", "*"}:
        field = request.fields_by_name[body]
        if not is_plain(field) or field.is_repeated:
            raise ValueError(f'{method.full_name}: the body {body!r} is no message; for example: body: "*"')
        body_message = tables.message(message_of(field))
    bound = {variable["field"] for variable in variables}
    free = [field for field in request.fields if field.name not in bound]
    return {
        "verb": verb,
        "segments": segments,
        "suffix": suffix,
        "variables": variables,
        "message": tables.message(request),
        "body": body,
        "body_message": body_message,
        "public": policy_of(method).public,
        "parameters": f"?{free[0].name}={parameter(example(free[0]))}" if free else "no body",
    }


def _segments(path: str) -> tuple[list[str], str, list[dict[str, Any]]]:
    """ "/v1/{name=a/*}:get" is (["v1", "a", "*"], "get", [{field: "name", first: 2, last: 3}])."""
    segments: list[str] = []
    variables: list[dict[str, Any]] = []
    rest, suffix = path.lstrip("/"), ""
    while rest:
        if rest[0] == "{":
            inside, _, rest = rest[1:].partition("}")
            field, _, pattern = inside.partition("=")
            first = len(segments) + 1
            segments += (pattern or "*").split("/")
            variables.append({"field": field, "first": first, "last": len(segments)})
        elif rest[0] == "/":
            rest = rest[1:]
        elif rest[0] == ":":
            suffix, rest = rest[1:], ""
        else:
            end = min((place for place in map(rest.find, "/:") if place >= 0), default=len(rest))
            segments.append(rest[:end])
            rest = rest[end:]
    if "**" in segments:
        raise ValueError(
            f"{path}: a variable of several segments can't be checked; for example: /v1/{{name=tasks/*}}"
        )
    return segments, suffix, variables
