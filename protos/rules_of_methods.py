"""Rules of methods: policies, signatures, REST paths, pages, streams, watches and request ids."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from celeriac.access.v1 import policy_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor

from protos.contracts import Binding, Contracts, behaviors_of, bindings_of, resource_of, signatures_of

# protoc's own stubs type an extension as a bare FieldDescriptor.
_policy: Any = policy_pb2.policy

PRIMARY, ADMIN_API = "/v1/", "/celery-admin/"
# What a body must be: nothing, all fields of the request, or (patch) the resource.
BODIES = {"get": "", "delete": "", "post": "*"}
# Methods that change something each time that they are carried out.
NEED_REQUEST_ID = (
    "Create",
    "Apply",
    "Import",
    "Trigger",
    "Backfill",
    "Set",
    "Reset",
    "Rollback",
    "Retry",
    "Purge",
    "EmbedMessages",
)

TEXT, INT32, INT64 = FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_INT32, FieldDescriptor.TYPE_INT64
TYPES = {TEXT: "string", INT32: "int32", INT64: "int64"}


def methods_state_a_policy(contracts: Contracts) -> Iterator[tuple[str, str]]:
    """Each method has a celeriac.access.v1.policy, which names a least role or says that it is public.

    The kernel refuses a policy that contradicts itself in any other way (services/kernel/policy.py).
    """
    for method in contracts.methods():
        options = method.GetOptions()
        policy = options.Extensions[_policy]
        if not options.HasExtension(_policy):
            yield (
                method.full_name,
                "has no option (celeriac.access.v1.policy); for example: {least_role: ROLE_ADMIN}",
            )
        elif policy.public == bool(policy.least_role):
            yield method.full_name, "has a policy that must either be public or name a least_role"


def signatures_are_the_required_fields(contracts: Contracts) -> Iterator[tuple[str, str]]:
    """The first method_signature lists the required fields in their order, "" for none (AIP-4232).

    A method that takes a stream has no signature.
    """
    for method in contracts.methods():
        stated = signatures_of(method)
        if method.client_streaming:
            if stated:
                yield method.full_name, "takes a stream, and can have no method_signature"
            continue
        wanted = ",".join(
            field.name for field in method.input_type.fields if "REQUIRED" in behaviors_of(field)
        )
        if not stated or stated[0].replace(" ", "") != wanted:
            yield method.full_name, f'needs option (google.api.method_signature) = "{wanted}"'


def paths_begin_with_v1(contracts: Contracts) -> Iterator[tuple[str, str]]:
    """The primary REST path of a method is below /v1/; the paths of the admin API before us are additional.

    A method that takes a stream, or is for services, has none.
    """
    for method in contracts.methods():
        bindings = bindings_of(method)
        if method.client_streaming or _is_for_services(method):
            if bindings:
                yield method.full_name, "takes a stream or is for services, and can have no REST path"
            continue
        if not bindings:
            yield method.full_name, "has no google.api.http"
        for binding in bindings[:1]:
            if not binding.path.startswith(PRIMARY):
                yield (
                    method.full_name,
                    f"has the primary path {binding.path}, which must begin with {PRIMARY}",
                )
        for binding in bindings[1:]:
            if not binding.path.startswith((PRIMARY, ADMIN_API)):
                yield (
                    method.full_name,
                    f"has the path {binding.path}, which begins with neither {PRIMARY} nor {ADMIN_API}",
                )


def bodies_suit_their_verbs(contracts: Contracts) -> Iterator[tuple[str, str]]:
    """GET and DELETE have no body, POST has the whole request, PATCH the resource (AIP-127)."""
    for method in contracts.methods():
        for binding in bindings_of(method):
            fault = _fault_of_body(method, binding)
            if fault:
                yield method.full_name, fault


def lists_have_pages(contracts: Contracts) -> Iterator[tuple[str, str]]:
    """A list takes page_size and page_token, and answers with entries and next_page_token (AIP-158).

    An order is the text `order_by` (AIP-132), and a filter of several values is named in the plural.
    """
    for method in contracts.methods():
        if not method.name.startswith("List"):
            continue
        yield from _has(method.input_type, "page_size", INT32)
        yield from _has(method.input_type, "page_token", TEXT)
        yield from _has(method.output_type, "next_page_token", TEXT)
        if sum(field.is_repeated for field in method.output_type.fields) != 1:
            yield method.output_type.full_name, "is a list's answer, and must have one repeated field"
        for field in method.input_type.fields:
            if "order" in field.name.split("_") and (field.name != "order_by" or field.type != TEXT):
                yield field.full_name, "is an order of a list, which is the text `order_by`"
            if field.is_repeated and not field.name.endswith("s"):
                yield field.full_name, "has several values, and is not named in the plural"


def streams_have_a_cursor(contracts: Contracts) -> Iterator[tuple[str, str]]:
    """A method that answers with a stream takes a cursor, and each of its messages has one.

    Excepted is a method that also takes a stream: its messages answer those of the caller, who knows which.
    """
    for method in contracts.methods():
        if method.server_streaming and not method.client_streaming:
            yield from _has(method.input_type, "cursor", TEXT)
            yield from _has(method.output_type, "cursor", TEXT)


def watches_have_one_dialect(contracts: Contracts) -> Iterator[tuple[str, str]]:
    """A watch answers with a stream, each of whose messages says how many changes were left out before it."""
    for method in contracts.methods():
        if not method.name.startswith("Watch"):
            continue
        if not method.server_streaming:
            yield method.full_name, "is a watch, and must answer with a stream"
        yield from _has(method.output_type, "left_out_count", INT64)
        if not all(binding.path.endswith(":watch") for binding in bindings_of(method)):
            yield method.full_name, "is a watch, and its path must end in :watch"


def changes_have_a_request_id(contracts: Contracts) -> Iterator[tuple[str, str]]:
    """A change that would be made twice by a second try takes a request_id (AIP-155).

    A method that takes a stream has none: it would say nothing of the stream as a whole.
    """
    for method in contracts.methods():
        audited = method.GetOptions().Extensions[_policy].audited
        if audited and method.name.startswith(NEED_REQUEST_ID) and not method.client_streaming:
            yield from _has(method.input_type, "request_id", TEXT)


def _has(message: Descriptor, name: str, kind: int) -> Iterator[tuple[str, str]]:
    field = message.fields_by_name.get(name)
    if field is None or field.type != kind or field.is_repeated:
        yield message.full_name, f"needs the field `{TYPES[kind]} {name}`"


def _is_for_services(method: MethodDescriptor) -> bool:
    policy = method.GetOptions().Extensions[_policy]
    return bool(policy.least_role == policy_pb2.ROLE_SERVICE)


def _fault_of_body(method: MethodDescriptor, binding: Binding) -> str:
    if binding.verb in BODIES:
        wanted = BODIES[binding.verb]
        return (
            ""
            if binding.body == wanted
            else f'has {binding.verb.upper()} with body "{binding.body}", not "{wanted}"'
        )
    if binding.verb == "patch":
        field = method.input_type.fields_by_name.get(binding.body)
        is_resource = field is not None and field.message_type is not None and resource_of(field.message_type)
        return "" if is_resource else f'has PATCH with body "{binding.body}", not the field of its resource'
    return f"has the verb {binding.verb.upper()}, and only GET, POST, PATCH and DELETE are used"


RULES = (
    methods_state_a_policy,
    signatures_are_the_required_fields,
    paths_begin_with_v1,
    bodies_suit_their_verbs,
    lists_have_pages,
    streams_have_a_cursor,
    watches_have_one_dialect,
    changes_have_a_request_id,
)
