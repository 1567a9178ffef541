"""What the gateway needs of the contracts, read from the descriptors of the installed stubs."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import celeriac
from google.api import annotations_pb2
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import FileDescriptor, MethodDescriptor
from google.rpc import error_details_pb2, status_pb2

from services import ANSWERED_BY
from services.kernel.identity import TOKEN_ROLES, Role
from services.kernel.policy import policy_of

UNARY_SECONDS = 15


@dataclass(frozen=True)
class Method:
    """A method as the gateway sees it."""

    # "/celeriac.scheduler.v1.ScheduleService/GetSchedule"
    path: str
    # The service that answers it, one of SERVICES.
    service: str
    # None: public.
    least_role: Role | None
    # The longest that a call may last, in seconds; 0: no limit.
    limit_seconds: int
    client_streaming: bool = False
    # REST verbs and path patterns: ("GET", "/v1/{name=schedules/*}")
    rest: tuple[tuple[str, str], ...] = ()
    # Roles beside the order that may call the method too.
    also: frozenset[Role] = frozenset()

    @property
    def roles(self) -> list[Role]:
        """The roles of tokens that may call the method, in a fixed order; all of them for a public one."""
        admitted = [
            role
            for role in TOKEN_ROLES.values()
            if self.least_role is None or role.reaches(self.least_role) or role in self.also
        ]
        return sorted(admitted, key=lambda role: role.value)

    @property
    def grpc_service(self) -> str:
        return self.path.split("/")[1]


def installed_contracts() -> list[FileDescriptor]:
    """Returns the contract files of the installed `celeriac` package that define services, sorted by name."""
    modules = pkgutil.walk_packages(celeriac.__path__, "celeriac.")
    files = [
        importlib.import_module(module.name).DESCRIPTOR for module in modules if module.name.endswith("_pb2")
    ]
    return sorted((file for file in files if file.services_by_name), key=lambda file: str(file.name))


def methods_of(files: Iterable[FileDescriptor]) -> list[Method]:
    """Returns the methods of the contracts; raises LookupError for a package that no service answers."""
    return [
        _method(method)
        for file in files
        for service in file.services_by_name.values()
        for method in service.methods
    ]


def descriptor_set(files: Iterable[FileDescriptor]) -> bytes:
    """Returns a serialized FileDescriptorSet of the files, their imports, and the types of error details."""
    found: dict[str, bytes] = {}

    def add(file: FileDescriptor) -> None:
        if file.name not in found:
            for imported in file.dependencies:
                add(imported)
            found[file.name] = file.serialized_pb

    for file in [*files, status_pb2.DESCRIPTOR, error_details_pb2.DESCRIPTOR]:
        add(file)
    protos = [descriptor_pb2.FileDescriptorProto.FromString(content) for content in found.values()]
    return descriptor_pb2.FileDescriptorSet(file=protos).SerializeToString(deterministic=True)


def _method(method: MethodDescriptor) -> Method:
    file = method.containing_service.file
    if file.package not in ANSWERED_BY:
        raise LookupError(f"{file.name}: no service answers the package {file.package}; see ANSWERED_BY")
    policy = policy_of(method)
    streaming = method.client_streaming or method.server_streaming
    return Method(
        path=f"/{method.containing_service.full_name}/{method.name}",
        service=ANSWERED_BY[file.package],
        least_role=policy.least_role,
        limit_seconds=policy.timeout_seconds or (0 if streaming else UNARY_SECONDS),
        client_streaming=method.client_streaming,
        rest=tuple((verb, path) for verb, path, _ in rest_bindings(method)),
        also=policy.also,
    )


def rest_bindings(method: MethodDescriptor) -> Iterator[tuple[str, str, str]]:
    """Yields verb, path and body of each REST form of the method: ("PATCH", "/v1/{name=tasks/*}", "task").

    The body is "*" for the whole request, a field's name for that field, or "" for none.
    """
    # protoc's own stubs type an extension as a bare FieldDescriptor.
    http: Any = annotations_pb2.http
    options = method.GetOptions()
    if options.HasExtension(http):
        rule = options.Extensions[http]
        for binding in (rule, *rule.additional_bindings):
            verb = binding.WhichOneof("pattern")
            if verb == "custom":
                yield binding.custom.kind, binding.custom.path, binding.body
            else:
                yield verb.upper(), getattr(binding, verb), binding.body
