"""What a release promises by options, which buf does not compare: REST paths, policies, fields, resources.

A later release may add paths, callers and roles beside the order, and give a call more time. It may not
change who may call a method or what is recorded of it, show a field to others, ask for a field that was
optional, or give a resource another name.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from celeriac.access.v1 import policy_pb2
from google.api import annotations_pb2, field_behavior_pb2, resource_pb2
from google.api.http_pb2 import HttpRule
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    FieldDescriptorProto,
    FileDescriptorSet,
    MethodDescriptorProto,
)

# protoc's own stubs type extensions as bare FieldDescriptors.
_policy: Any = policy_pb2.policy
_readable_from: Any = policy_pb2.readable_from
_sensitive: Any = policy_pb2.sensitive
_behavior: Any = field_behavior_pb2.field_behavior
_resource: Any = resource_pb2.resource

REQUIRED, OUTPUT_ONLY = field_behavior_pb2.REQUIRED, field_behavior_pb2.OUTPUT_ONLY


def broken(now: FileDescriptorSet, released: FileDescriptorSet) -> list[str]:
    """Returns a line for each promise of the released contracts that these do not keep.

    buf tells of methods, messages and fields that are gone.
    """
    faults = list[str]()
    methods = dict(_methods(now))
    for name, method in _methods(released):
        if name in methods:
            faults += _of_method(name, methods[name], method)
    messages = dict(_messages(now))
    for name, message in _messages(released):
        if name in messages:
            faults += _of_message(name, messages[name], message)
    return faults


def _of_method(name: str, now: MethodDescriptorProto, before: MethodDescriptorProto) -> Iterator[str]:
    kept = _bindings(now.options.Extensions[annotations_pb2.http])
    for path in sorted(_bindings(before.options.Extensions[annotations_pb2.http]) - kept):
        yield f"{name}: its path was {' '.join(path)} and must stay"
    policy, promised = now.options.Extensions[_policy], before.options.Extensions[_policy]
    for option in ("least_role", "public", "audited", "second_factor"):
        if getattr(policy, option) != getattr(promised, option):
            yield f"{name}: `{option}` of its policy was {getattr(promised, option)} and must stay"
    for option in ("also", "callers"):
        if gone := set(getattr(promised, option)) - set(getattr(policy, option)):
            yield f"{name}: `{option}` of its policy had {', '.join(map(str, sorted(gone)))} and must keep it"
    if 0 < policy.timeout_seconds < promised.timeout_seconds:
        yield f"{name}: its time limit was {promised.timeout_seconds} s and must not be shorter"


def _of_message(name: str, now: DescriptorProto, before: DescriptorProto) -> Iterator[str]:
    fields = {field.name: field for field in now.field}
    for field in before.field:
        if field.name in fields:
            yield from _of_field(f"{name}.{field.name}", fields[field.name], field)
    promised = before.options.Extensions[_resource]
    resource = now.options.Extensions[_resource]
    if (promised.type, list(promised.pattern)) != (resource.type, list(resource.pattern)):
        yield f"{name}: as a resource it was {promised.type} {list(promised.pattern)} and must stay"


def _of_field(name: str, now: FieldDescriptorProto, before: FieldDescriptorProto) -> Iterator[str]:
    for option, extension in (("readable_from", _readable_from), ("sensitive", _sensitive)):
        if now.options.Extensions[extension] != before.options.Extensions[extension]:
            yield f"{name}: its option `{option}` must stay as it was"
    behaviors, promised = set(now.options.Extensions[_behavior]), set(before.options.Extensions[_behavior])
    if REQUIRED in behaviors - promised:
        yield f"{name}: it was not required, and callers leave it out"
    if OUTPUT_ONLY in behaviors - promised:
        yield f"{name}: callers could set it, and must go on"


def _methods(image: FileDescriptorSet) -> Iterator[tuple[str, MethodDescriptorProto]]:
    for file in image.file:
        for service in file.service:
            for method in service.method:
                yield f"{file.package}.{service.name}.{method.name}", method


def _messages(image: FileDescriptorSet) -> Iterator[tuple[str, DescriptorProto]]:
    waiting = [
        (f"{file.package}.{message.name}", message) for file in image.file for message in file.message_type
    ]
    for name, message in waiting:
        if name.startswith("celeriac."):
            yield name, message
            waiting += [(f"{name}.{inner.name}", inner) for inner in message.nested_type]


def _bindings(rule: HttpRule) -> set[tuple[str, str, str]]:
    """Returns verb, path and body of every binding."""
    verb = rule.WhichOneof("pattern")
    if verb is None:
        return set()
    more = [_bindings(binding) for binding in rule.additional_bindings]
    return {(verb.upper(), getattr(rule, verb), rule.body)}.union(*more)
