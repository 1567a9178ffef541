"""Requests as REST callers write them, made from the contracts: every field filled in."""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor, FileDescriptor, MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from deploy.envoy.contracts import rest_bindings

TEXT = 'fünf 五 😀 \\ " \n'
WELL_KNOWN = "google.protobuf."


@dataclass(frozen=True)
class RestForm:
    """One REST form of a method, and a request of it with all fields."""

    method: MethodDescriptor
    verb: str
    pattern: str
    body: str
    request: Message = field(compare=False)

    @property
    def id(self) -> str:
        return f"{self.method.name} {self.verb} {self.pattern}"

    @property
    def rpc(self) -> str:
        return f"/{self.method.containing_service.full_name}/{self.method.name}"

    def written(self, names_kept: bool = True) -> tuple[str, dict[str, Any] | None]:
        """The path with its parameters, and the body."""
        path = re.sub(r"\{([\w.]+)(=[^}]*)?\}", lambda place: self._bound(place[1]), self.pattern)
        rest = type(self.request)()
        rest.CopyFrom(self.request)
        for bound in re.findall(r"\{([\w.]+)", self.pattern):
            _clear(rest, bound)
        told = json_format.MessageToDict(rest, preserving_proto_field_name=names_kept)
        if self.body == "*":
            return path, told
        body = None
        if self.body:
            body = told.pop(self.body if names_kept else rest.DESCRIPTOR.fields_by_name[self.body].json_name)
        pairs = urllib.parse.urlencode(list(_parameters(told)))
        return (f"{path}?{pairs}" if pairs else path), body

    def _bound(self, name: str) -> str:
        value: Any = self.request
        for step in name.split("."):
            value = getattr(value, step)
        return str(value)


def rest_forms(files: Iterable[FileDescriptor]) -> list[RestForm]:
    """Every REST form of the contracts."""
    return [
        RestForm(method, verb, pattern, body, _request(method, pattern))
        for file in files
        for service in file.services_by_name.values()
        for method in service.methods
        for verb, pattern, body in rest_bindings(method)
    ]


def _request(method: MethodDescriptor, pattern: str) -> Message:
    request = GetMessageClass(method.input_type)()
    fill(request)
    for name, shape in re.findall(r"\{([\w.]+)=([^}]*)\}", pattern):
        inner: Any = request
        *steps, last = name.split(".")
        for step in steps:
            inner = getattr(inner, step)
        setattr(inner, last, shape.replace("*", "x"))
    return request


def fill(message: Message, depth: int = 0) -> None:
    """Sets every field, of a oneof the last; messages within themselves end after three."""
    described: Any
    for described in message.DESCRIPTOR.fields:
        if described.message_type is not None and described.message_type.full_name.startswith(WELL_KNOWN):
            _fill_well_known(message, described)
        elif described.message_type is not None and described.message_type.GetOptions().map_entry:
            getattr(message, described.name).update({"team": TEXT, "": "empty"})
        elif described.message_type is not None:
            if depth < 3:
                inner = getattr(message, described.name)
                fill(inner.add() if described.is_repeated else inner, depth + 1)
        else:
            _fill_scalar(message, described)


def _fill_well_known(message: Message, described: FieldDescriptor) -> None:
    inner = getattr(message, described.name)
    assert described.message_type is not None
    kind = described.message_type.name
    if kind == "Timestamp":
        inner.FromJsonString("2026-11-30T08:00:00.123Z")
    elif kind == "Duration":
        inner.FromJsonString("90.500s")
    elif kind == "FieldMask":
        inner.FromJsonString("description,task")
    else:
        raise LookupError(f"{described.full_name}: how to fill in {kind}")


def _fill_scalar(message: Message, described: FieldDescriptor) -> None:
    value: Any
    if described.enum_type is not None:
        value = described.enum_type.values[-1].number
    elif described.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        binary = described.type == FieldDescriptor.TYPE_BYTES
        value = b"\0\xff" if binary else '{"big": [9007199254740993, 1.0]}' if _is_json(described) else TEXT
    elif described.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        value = True
    elif described.cpp_type in {FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT}:
        value = 0.5
    elif described.cpp_type == FieldDescriptor.CPPTYPE_INT64:
        value = 2**53 + 1
    else:
        value = 7
    if described.is_repeated:
        getattr(message, described.name).append(value)
    else:
        setattr(message, described.name, value)


def _is_json(described: FieldDescriptor) -> bool:
    return described.name.endswith("_json")


def _clear(message: Any, name: str) -> None:
    *steps, last = name.split(".")
    for step in steps:
        message = getattr(message, step)
    message.ClearField(last)


def _parameters(told: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in told.items():
        if isinstance(value, dict):
            yield from _parameters(value, f"{prefix}{name}.")
        else:
            for one in value if isinstance(value, list) else [value]:
                yield f"{prefix}{name}", str(one).lower() if isinstance(one, bool) else str(one)
