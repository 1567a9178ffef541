"""The contracts as their descriptors have them: with comments, policies, REST paths and resources."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from google.protobuf.descriptor import (
    Descriptor,
    EnumDescriptor,
    FieldDescriptor,
    FileDescriptor,
    MethodDescriptor,
    OneofDescriptor,
    ServiceDescriptor,
)
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
)
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

# Whose comments are asked for; a value of an enum is asked for by `value_comment`.
Commented = (
    Descriptor
    | EnumDescriptor
    | FieldDescriptor
    | FileDescriptor
    | MethodDescriptor
    | OneofDescriptor
    | ServiceDescriptor
)
# The numbers in google/protobuf/descriptor.proto by which source_code_info names what a comment belongs to.
FILE_SYNTAX, MESSAGES, ENUMS, SERVICES, EXTENSIONS = 12, 4, 5, 6, 7
FIELDS, NESTED, NESTED_ENUMS, ONEOFS = 2, 3, 4, 8
VALUES = METHODS = 2


class Binding(NamedTuple):
    """A way to a method by REST. `path` is as callers write it: "/v1/configs/{config}:set"."""

    verb: str
    path: str
    body: str


class Contracts:
    """All contracts of an image that was compiled with its imports and its source info."""

    def __init__(self, image: FileDescriptorSet) -> None:
        self._pool = DescriptorPool()
        self._comments: dict[str, str] = {}
        # By full name: protobuf 5 and 7 have different attributes for it.
        self._repeated: set[str] = set()
        for file in image.file:
            self._pool.Add(file)
            self._comments.update(_comments(file))
            self._repeated.update(_repeated_fields(file))
        own = [file.name for file in image.file if file.package.startswith("celeriac.")]
        self.files = [self._pool.FindFileByName(name) for name in sorted(own)]
        # The message that describes each resource, by its type: "celeriac.dev/Schedule".
        self.resources = {kind: each for each in self.messages() if (kind := self.resource(each).type)}

    def messages(self) -> Iterator[Descriptor]:
        """All messages of our own, nested ones behind those that they are in; not the entries of maps."""

        def within(messages: Sequence[Descriptor]) -> Iterator[Descriptor]:
            for message in messages:
                if not message.GetOptions().map_entry:
                    yield message
                    yield from within(message.nested_types)

        for file in self.files:
            yield from within(list(file.message_types_by_name.values()))

    def comment(self, of: Commented) -> str:
        """The comment in front of it, without comment signs; "" if there is none."""
        if isinstance(of, FileDescriptor):
            return self._comments.get(of.name, "")
        if isinstance(of, OneofDescriptor):
            return self._comments.get(f"{of.containing_type.full_name}.{of.name}", "")
        return self._comments.get(of.full_name, "")

    def value_comment(self, enum: EnumDescriptor, value: str) -> str:
        return self._comments.get(f"{enum.full_name}.{value}", "")

    def policy(self, method: MethodDescriptor) -> Any:
        return self._option(method, "MethodOptions", "celeriac.access.v1.policy")

    def signature(self, method: MethodDescriptor) -> list[str]:
        """The fields by which it is usually called, in their order: google.api.method_signature."""
        stated = self._option(method, "MethodOptions", "google.api.method_signature")
        return stated[0].split(",") if stated and stated[0] else []

    def role(self, number: int) -> str:
        """The name of a role as people write it: "super_admin"."""
        roles = self._pool.FindEnumTypeByName("celeriac.access.v1.Role").values_by_number
        return str(roles[number].name).removeprefix("ROLE_").lower()

    def repeated(self, field: FieldDescriptor) -> bool:
        return field.full_name in self._repeated

    def field_option(self, field: FieldDescriptor, name: str) -> Any:
        """The value of an option of a field: "google.api.field_behavior"."""
        return self._option(field, "FieldOptions", name)

    def resource(self, message: Descriptor) -> Any:
        """The google.api.ResourceDescriptor of a message, which has no type if there is none."""
        return self._option(message, "MessageOptions", "google.api.resource")

    def bindings(self, method: MethodDescriptor) -> list[Binding]:
        """The ways to a method by REST, the primary one first; none if it can be called by gRPC alone."""
        rule = self._option(method, "MethodOptions", "google.api.http")
        found = []
        for each in (rule, *rule.additional_bindings):
            verb = each.WhichOneof("pattern")
            if verb is not None:
                found.append(Binding(verb.upper(), self._written(getattr(each, verb)), each.body))
        return found

    def _option(self, of: Any, kind: str, name: str) -> Any:
        """Reads an option by the image's own descriptors, so that no generated stub is needed."""
        options = GetMessageClass(self._pool.FindMessageTypeByName(f"google.protobuf.{kind}"))
        stated = options.FromString(of.GetOptions().SerializeToString())
        return stated.Extensions[self._pool.FindExtensionByName(name)]

    def _written(self, template: str) -> str:
        """The path with the names of a resource's pattern in place of stars: "configs/{config}"."""

        def pattern_of(variable: re.Match[str]) -> str:
            segments = variable["segments"]
            if segments is None:
                return f"{{{variable['field'].rpartition('.')[2]}}}"
            for message in self.resources.values():
                for pattern in self.resource(message).pattern:
                    if re.sub(r"\{[^}]*\}", "*", pattern) == segments:
                        return str(pattern)
            return str(segments)

        return re.sub(r"\{(?P<field>[\w.]+)(?:=(?P<segments>[^}]*))?\}", pattern_of, template)


def _repeated_fields(file: FileDescriptorProto) -> Iterator[str]:
    def within(message: DescriptorProto, scope: str) -> Iterator[str]:
        name = f"{scope}.{message.name}"
        for field in message.field:
            if field.label == FieldDescriptorProto.LABEL_REPEATED:
                yield f"{name}.{field.name}"
        for nested in message.nested_type:
            yield from within(nested, name)

    for message in file.message_type:
        yield from within(message, file.package)


def _comments(file: FileDescriptorProto) -> Iterator[tuple[str, str]]:
    """What each comment of a file belongs to, by its full name, and the comment."""
    names = dict(_names(file))
    for location in file.source_code_info.location:
        name = names.get(tuple(location.path))
        if name is not None and location.leading_comments:
            lines = [line.removeprefix(" ").rstrip() for line in location.leading_comments.splitlines()]
            yield name, "\n".join(lines).strip()


def _names(file: FileDescriptorProto) -> Iterator[tuple[tuple[int, ...], str]]:
    """The paths of source_code_info, and the full names of what is there."""
    yield (FILE_SYNTAX,), file.name
    for index, message in enumerate(file.message_type):
        yield from _names_within(message, (MESSAGES, index), file.package)
    for index, enum in enumerate(file.enum_type):
        yield from _names_of_values(enum, (ENUMS, index), file.package)
    for index, service in enumerate(file.service):
        path, name = (SERVICES, index), f"{file.package}.{service.name}"
        yield path, name
        for position, method in enumerate(service.method):
            yield (*path, METHODS, position), f"{name}.{method.name}"
    for index, extension in enumerate(file.extension):
        yield (EXTENSIONS, index), f"{file.package}.{extension.name}"


def _names_within(message: Any, path: tuple[int, ...], scope: str) -> Iterator[tuple[tuple[int, ...], str]]:
    name = f"{scope}.{message.name}"
    yield path, name
    for number, parts in ((FIELDS, message.field), (ONEOFS, message.oneof_decl)):
        for index, part in enumerate(parts):
            yield (*path, number, index), f"{name}.{part.name}"
    for index, nested in enumerate(message.nested_type):
        yield from _names_within(nested, (*path, NESTED, index), name)
    for index, enum in enumerate(message.enum_type):
        yield from _names_of_values(enum, (*path, NESTED_ENUMS, index), name)


def _names_of_values(enum: Any, path: tuple[int, ...], scope: str) -> Iterator[tuple[tuple[int, ...], str]]:
    name = f"{scope}.{enum.name}"
    yield path, name
    for index, value in enumerate(enum.value):
        yield (*path, VALUES, index), f"{name}.{value.name}"
