"""Reads each method's policy from the contracts; a method without one keeps its service from starting."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from celeriac.access.v1 import policy_pb2
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import MethodDescriptor

from services.kernel.identity import Role
from services.kernel.logged_errors import Loggable


@dataclass(frozen=True)
class MethodPolicy:
    """Who may call a method, for how long, and whether the call is recorded.

    `least_role` is None for a public method. With `timeout_seconds` 0 the gateway's usual limit holds.
    """

    least_role: Role | None
    audited: bool = False
    timeout_seconds: int = 0
    second_factor: bool = False

    @property
    def public(self) -> bool:
        return self.least_role is None


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
    if stated.public and (stated.least_role or stated.audited or stated.second_factor):
        raise PolicyMissing(
            f"{method.full_name} is public, and so can have no role, no audit and no second factor"
        )
    if not stated.public and not stated.least_role:
        raise PolicyMissing(f"{method.full_name} is not public, and names no least_role")
    return MethodPolicy(
        least_role=None if stated.public else Role(stated.least_role),
        audited=stated.audited,
        timeout_seconds=stated.timeout_seconds,
        second_factor=stated.second_factor,
    )
