"""Rules of resources, of their names, and of the fields of requests."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from celeriac.access.v1 import policy_pb2
from google.protobuf.descriptor import FieldDescriptor

from protos.contracts import Contracts, behaviors_of, reference_of, resource_of

# protoc's own stubs type an extension as a bare FieldDescriptor.
_readable_from: Any = policy_pb2.readable_from

DOMAIN = "celeriac.dev/"
BEHAVIORS = {"REQUIRED", "OPTIONAL", "OUTPUT_ONLY", "IMMUTABLE", "IDENTIFIER"}
# A reference to a resource of any type.
ANY = "*"
NUMBERS = {
    FieldDescriptor.CPPTYPE_INT32,
    FieldDescriptor.CPPTYPE_INT64,
    FieldDescriptor.CPPTYPE_UINT32,
    FieldDescriptor.CPPTYPE_UINT64,
    FieldDescriptor.CPPTYPE_FLOAT,
    FieldDescriptor.CPPTYPE_DOUBLE,
}
# Days are not among them: those of a calendar have 23 to 25 hours.
UNITS = {"us", "micros", "microsecond", "microseconds", "ms", "millis", "millisecond", "milliseconds"} | {
    *("s", "sec", "secs", "second", "seconds", "minute", "minutes", "hour", "hours")
}
# The option of each method, which is only written in the contracts: no caller ever sends it.
COUNT_SECONDS = {"celeriac.access.v1.Policy.timeout_seconds"}
# A text of one of these names is one for a person to read, and not a chat message of the embedder's.
FOR_PEOPLE = {"message", "exception_message"}
ORDERED = (policy_pb2.ROLE_VIEWER, policy_pb2.ROLE_ADMIN, policy_pb2.ROLE_SUPER_ADMIN)


def fields_state_their_behavior(contracts: Contracts) -> Iterator[tuple[str, str]]:
    """Each field of a request and of a resource has a field_behavior (AIP-203)."""
    requests = contracts.requests()
    for message in contracts.messages():
        if message.full_name in requests or resource_of(message):
            for field in message.fields:
                if not behaviors_of(field) & BEHAVIORS:
                    yield (
                        field.full_name,
                        "has no field_behavior; for example: [(google.api.field_behavior) = OPTIONAL]",
                    )


def resources_are_described(contracts: Contracts) -> Iterator[tuple[str, str]]:
    """A resource states type, pattern, singular and plural, and its `name` is its IDENTIFIER (AIP-123)."""
    for message in contracts.messages():
        resource = resource_of(message)
        if resource is None:
            continue
        if not (
            resource.type.startswith(DOMAIN) and resource.pattern and resource.singular and resource.plural
        ):
            yield (
                message.full_name,
                f"is a resource, which needs a type {DOMAIN}…, a pattern, a singular and a plural",
            )
        name = message.fields_by_name.get("name")
        if name is None or behaviors_of(name) != {"IDENTIFIER"}:
            yield message.full_name, "is a resource, and its field `name` must be there and be its IDENTIFIER"


def names_are_resource_names(contracts: Contracts) -> Iterator[tuple[str, str]]:
    """A field `name` is the name of the resource that it stands in, or refers to one (AIP-122).

    The fields `names` and `parent` refer to resources.
    """
    requests = contracts.requests()
    for message in contracts.messages():
        is_resource = resource_of(message) is not None
        for field in message.fields:
            if field.name == "name" and not is_resource and not reference_of(field):
                missing = (
                    "a resource_reference"
                    if message.full_name in requests
                    else "google.api.resource, or another name"
                )
                yield field.full_name, f"is no resource's name; give it {missing}"
            if field.name in {"names", "parent"} and not reference_of(field):
                yield field.full_name, "names a resource, and has no resource_reference"


def references_state_their_type(contracts: Contracts) -> Iterator[tuple[str, str]]:
    """A text whose comment shows the name of a resource has a resource_reference (AIP-124).

    A reference is to the type of a resource that there is, or to any ("*"). A resource without a message is
    defined by the file's option google.api.resource_definition.
    """
    resources = list(contracts.resources())
    types = {resource.type for resource in resources} | {ANY}
    collections = {pattern.partition("/")[0] for resource in resources for pattern in resource.pattern}
    shown = re.compile(rf'"(?:{"|".join(sorted(collections))})/') if collections else None
    for message in contracts.messages():
        for field in message.fields:
            reference = reference_of(field)
            if reference and reference not in types:
                yield field.full_name, f"refers to {reference}, which is no resource's type"
            is_its_own = field.name == "name" and resource_of(message) is not None
            if reference or not shown or not _is_text(field) or is_its_own:
                continue
            if shown.search(contracts.place(field.full_name).comment):
                yield field.full_name, "shows a resource's name in its comment, and has no resource_reference"


def fields_named_after_a_resource_refer_to_one(contracts: Contracts) -> Iterator[tuple[str, str]]:
    """A text named after a resource (`worker`, `queues`, `first_task`) has a resource_reference (AIP-124).

    What is not the name of the resource itself is named so: `task_name`, `hostname`.
    """
    words = {
        word for resource in contracts.resources() for pattern in resource.pattern for word in _words(pattern)
    }
    for message in contracts.messages():
        for field in message.fields:
            if field.name in FOR_PEOPLE or not _is_text(field) or reference_of(field):
                continue
            if _is_named_after(field.name, words):
                yield field.full_name, "is named after a resource, and has no resource_reference"


def lengths_of_time_are_durations(contracts: Contracts) -> Iterator[tuple[str, str]]:
    """A number is not named after a unit of time: lengths of time are google.protobuf.Durations (AIP-142)."""
    for message in contracts.messages():
        for field in message.fields:
            if field.cpp_type not in NUMBERS or field.full_name in COUNT_SECONDS:
                continue
            if field.name.rpartition("_")[2] in UNITS and "_per_" not in field.name:
                yield field.full_name, "is a length of time, which is a google.protobuf.Duration"


def readable_fields_name_a_role_of_the_order(contracts: Contracts) -> Iterator[tuple[str, str]]:
    """`readable_from` names a role of the order; a role beside it is nobody's least role."""
    for message in contracts.messages():
        for field in message.fields:
            role = field.GetOptions().Extensions[_readable_from]
            if role and role not in ORDERED:
                yield field.full_name, "has a readable_from that is not viewer, admin or super_admin"


def _words(pattern: str) -> list[str]:
    """Returns the plural and the singular of a resource: ["backfills", "backfill"]."""
    return [_snake(part.strip("{}")) for part in pattern.split("/")[-2:]]


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def _is_named_after(field: str, words: set[str]) -> bool:
    return any(field == word or field.endswith(f"_{word}") for word in words)


def _is_text(field: FieldDescriptor) -> bool:
    return bool(field.type == FieldDescriptor.TYPE_STRING)


RULES = (
    fields_state_their_behavior,
    resources_are_described,
    names_are_resource_names,
    references_state_their_type,
    fields_named_after_a_resource_refer_to_one,
    lengths_of_time_are_durations,
    readable_fields_name_a_role_of_the_order,
)
