"""Reads each method's policy from the contracts; a method without one keeps its service from starting."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from celeriac.access.v1 import policy_pb2
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import MethodDescriptor

from services.kernel.identity import CALLERS, ORDER, Identity, Role
from services.kernel.logged_errors import Loggable


@dataclass(frozen=True)
class MethodPolicy:
    """Who may call a method, for how long, and whether the call is recorded.

    `least_role` is None for a public method. With `timeout_seconds` 0 the gateway's usual limit holds. `also`
    are roles beside the order that may call it too, `callers` the services that may by their certificates.
    """

    least_role: Role | None
    audited: bool = False
    timeout_seconds: int = 0
    second_factor: bool = False
    also: frozenset[Role] = frozenset()
    callers: frozenset[str] = frozenset()

    @property
    def public(self) -> bool:
        return self.least_role is None

    def admits(self, caller: Identity) -> bool:
        """Whether the caller's role may call the method. The second factor is another question.

        A service that is known by its certificate alone may call the methods that name it, and no others.
        """
        if self.least_role is None:
            return True
        if caller.role is Role.SERVICE:
            return caller.service in self.callers
        return caller.role.reaches(self.least_role) or not self.also.isdisjoint(caller.beside)


# Health and reflection have no options of ours. Health must answer probes without a token; reflection shows
# nothing but the contracts, which are public.
STANDARD_METHODS: Mapping[str, MethodPolicy] = {
    "/grpc.health.v1.Health/Check": MethodPolicy(None),
    "/grpc.health.v1.Health/List": MethodPolicy(None),
    "/grpc.health.v1.Health/Watch": MethodPolicy(None),
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": MethodPolicy(None),
}


class PolicyMissing(Loggable):
    """A method has no policy, or one that contradicts itself."""


def policies_of(services: Iterable[str]) -> dict[str, MethodPolicy]:
    """Returns the policy of each method of the named services, by its path ("/package.Service/Method")."""
    pool = descriptor_pool.Default()
    return {
        f"/{service}/{method.name}": policy_of(method)
        for service in services
        for method in pool.FindServiceByName(service).methods
    }


def policy_of(method: MethodDescriptor) -> MethodPolicy:
    """Returns the policy in a method's options; raises `PolicyMissing` if it is missing or contradictory."""
    # protoc's own stubs type an extension as a bare FieldDescriptor.
    extension: Any = policy_pb2.policy
    options = method.GetOptions()
    if not options.HasExtension(extension):
        raise PolicyMissing(f"{method.full_name} states no celeriac.access.v1.policy")
    stated: policy_pb2.Policy = options.Extensions[extension]
    fault = _fault_of(stated)
    if fault:
        raise PolicyMissing(f"{method.full_name} {fault}")
    return MethodPolicy(
        least_role=None if stated.public else Role(stated.least_role),
        audited=stated.audited,
        timeout_seconds=stated.timeout_seconds,
        second_factor=stated.second_factor,
        also=frozenset(map(Role, stated.also)),
        callers=frozenset(stated.callers),
    )


def _fault_of(stated: policy_pb2.Policy) -> str:
    """Returns what contradicts itself in a policy; empty for a sound one."""
    if stated.public:
        limited = stated.least_role or stated.audited or stated.second_factor or stated.also or stated.callers
        fault = "is public, and so can have no role, no caller, no audit and no second factor"
        return fault if limited else ""
    if stated.least_role not in {*(role.value for role in ORDER), Role.SERVICE.value}:
        return "is not public, and its least_role is not one of the ordered roles or ROLE_SERVICE"
    for_services = stated.least_role == Role.SERVICE.value
    if any(role != Role.WRITER.value for role in stated.also):
        return "has another role than ROLE_WRITER in `also`; the others are ordered"
    if for_services and (stated.also or stated.second_factor):
        return "is for services, which have neither another role beside theirs nor a second factor"
    if for_services and not stated.callers:
        return 'is for services, and names none in `callers`; for example: "scheduler"'
    unknown = sorted(set(stated.callers).difference(CALLERS))
    if unknown:
        return f"names the caller {unknown[0]!r}, which is none of {', '.join(CALLERS)}"
    return ""
