"""The contracts as the rules read them: descriptors, with the comment and the line of each element."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from google.api import annotations_pb2, client_pb2, field_behavior_pb2, resource_pb2
from google.protobuf.descriptor import (
    Descriptor,
    EnumDescriptor,
    FieldDescriptor,
    FileDescriptor,
    MethodDescriptor,
    ServiceDescriptor,
)
from google.protobuf.descriptor_pb2 import DescriptorProto, EnumDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pb2 import FileDescriptorSet as Image
from google.protobuf.descriptor_pool import DescriptorPool

# protoc's own stubs type extensions as bare FieldDescriptors.
_http: Any = annotations_pb2.http
_signature: Any = client_pb2.method_signature
_behavior: Any = field_behavior_pb2.field_behavior
_resource: Any = resource_pb2.resource
_reference: Any = resource_pb2.resource_reference
_definition: Any = resource_pb2.resource_definition

OURS = "celeriac."


@dataclass(frozen=True)
class Place:
    """Where an element is, and the comment before it: lines joined by blanks; empty where there is none."""

    file: str
    line: int
    comment: str


class Contracts:
    """All of Celeriac's contracts in one compiled image, with their source information."""

    def __init__(self, image: Image) -> None:
        pool = DescriptorPool()
        for file in image.file:
            pool.Add(file)
        ours = [file for file in image.file if file.package.startswith(OURS)]
        self.files: list[FileDescriptor] = [pool.FindFileByName(file.name) for file in ours]
        self._places = {name: place for file in ours for name, place in _places(file)}

    def place(self, full_name: str) -> Place:
        return self._places[full_name]

    def comments(self) -> Iterator[tuple[str, str]]:
        """Yields the full name of each element that has a comment, and the comment."""
        for name, place in self._places.items():
            if place.comment:
                yield name, place.comment

    def services(self) -> Iterator[ServiceDescriptor]:
        for file in self.files:
            yield from file.services_by_name.values()

    def methods(self) -> Iterator[MethodDescriptor]:
        for service in self.services():
            yield from service.methods

    def messages(self) -> Iterator[Descriptor]:
        """Yields all messages, nested ones too, without the entries of maps."""
        waiting = [message for file in self.files for message in file.message_types_by_name.values()]
        for message in waiting:
            if not message.GetOptions().map_entry:
                yield message
            waiting += message.nested_types

    def enums(self) -> Iterator[EnumDescriptor]:
        for file in self.files:
            yield from file.enum_types_by_name.values()
        for message in self.messages():
            yield from message.enum_types

    def resources(self) -> Iterator[Any]:
        """Yields the google.api.ResourceDescriptor of each resource.

        A resource without a message, such as a conversation, is defined by an option of its file.
        """
        for message in self.messages():
            if resource := resource_of(message):
                yield resource
        for file in self.files:
            yield from file.GetOptions().Extensions[_definition]

    def requests(self) -> set[str]:
        """Returns the full names of the messages that methods take."""
        return {method.input_type.full_name for method in self.methods()}

    def responses(self) -> set[str]:
        """Returns the full names of the messages that methods answer with."""
        return {method.output_type.full_name for method in self.methods()}


def resource_of(message: Descriptor) -> Any:
    """Returns the message's google.api.ResourceDescriptor; None if it is no resource."""
    options = message.GetOptions()
    return options.Extensions[_resource] if options.HasExtension(_resource) else None


def reference_of(field: FieldDescriptor) -> str:
    """Returns the type of the resource that the field names, or of its children; empty if it names none."""
    options = field.GetOptions()
    if not options.HasExtension(_reference):
        return ""
    reference = options.Extensions[_reference]
    return str(reference.type or reference.child_type)


def behaviors_of(field: FieldDescriptor) -> set[str]:
    """Returns the names of the field's behaviors: {"REQUIRED"}."""
    name = field_behavior_pb2.FieldBehavior.Name
    return {name(behavior) for behavior in field.GetOptions().Extensions[_behavior]}


def signatures_of(method: MethodDescriptor) -> Sequence[str]:
    signatures: Sequence[str] = method.GetOptions().Extensions[_signature]
    return signatures


@dataclass(frozen=True)
class Binding:
    """One way to a method by REST."""

    # "get", "post", "patch", "delete", "put"
    verb: str
    path: str
    body: str


def bindings_of(method: MethodDescriptor) -> list[Binding]:
    """Returns the method's REST bindings, the primary one first; none for a method without them."""
    options = method.GetOptions()
    if not options.HasExtension(_http):
        return []
    rule = options.Extensions[_http]
    return [
        Binding(str(verb), getattr(one, str(verb)), one.body)
        for one in (rule, *rule.additional_bindings)
        if (verb := one.WhichOneof("pattern"))
    ]


def _places(file: FileDescriptorProto) -> Iterator[tuple[str, Place]]:
    found = {tuple(location.path): location for location in file.source_code_info.location}

    def place(path: tuple[int, ...]) -> Place:
        location = found[path]
        return Place(file.name, location.span[0] + 1, " ".join(location.leading_comments.split()))

    # The numbers are those of the fields in descriptor.proto by which a path leads to an element.
    def of_enum(scope: str, enum: EnumDescriptorProto, path: tuple[int, ...]) -> Iterator[tuple[str, Place]]:
        yield f"{scope}.{enum.name}", place(path)
        for at, value in enumerate(enum.value):
            yield f"{scope}.{enum.name}.{value.name}", place((*path, 2, at))

    def of_message(
        scope: str, message: DescriptorProto, path: tuple[int, ...]
    ) -> Iterator[tuple[str, Place]]:
        if message.options.map_entry:
            return
        name = f"{scope}.{message.name}"
        yield name, place(path)
        for at, field in enumerate(message.field):
            yield f"{name}.{field.name}", place((*path, 2, at))
        for at, inner in enumerate(message.nested_type):
            yield from of_message(name, inner, (*path, 3, at))
        for at, enum in enumerate(message.enum_type):
            yield from of_enum(name, enum, (*path, 4, at))

    for at, message in enumerate(file.message_type):
        yield from of_message(file.package, message, (4, at))
    for at, enum in enumerate(file.enum_type):
        yield from of_enum(file.package, enum, (5, at))
    for at, service in enumerate(file.service):
        yield f"{file.package}.{service.name}", place((6, at))
        for number, method in enumerate(service.method):
            yield f"{file.package}.{service.name}.{method.name}", place((6, at, 2, number))
