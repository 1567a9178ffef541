"""Policies come from the contracts; a method without a sound one keeps its service from starting."""

from __future__ import annotations

from typing import Any

import pytest
from celeriac.access.v1 import policy_pb2
from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.descriptor import MethodDescriptor

from services.kernel.identity import Role
from services.kernel.policy import MethodPolicy, PolicyMissing, policy_of

ADMIN = policy_pb2.ROLE_ADMIN


def method_with(policy: policy_pb2.Policy | None) -> MethodDescriptor:
    """A method of a contract made for the test."""
    file = descriptor_pb2.FileDescriptorProto(name="probe.proto", package="probe", syntax="proto3")
    file.message_type.add(name="Nothing")
    method = file.service.add(name="ProbeService").method.add(
        name="Probe", input_type=".probe.Nothing", output_type=".probe.Nothing"
    )
    if policy is not None:
        extension: Any = policy_pb2.policy
        method.options.Extensions[extension].CopyFrom(policy)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return pool.FindServiceByName("probe.ProbeService").methods[0]


def test_a_policy_is_read_as_stated() -> None:
    policy = policy_pb2.Policy(least_role=ADMIN, audited=True, timeout_seconds=60, second_factor=True)
    assert policy_of(method_with(policy)) == MethodPolicy(Role.ADMIN, True, 60, True)
    assert policy_of(method_with(policy_pb2.Policy(public=True))).public


@pytest.mark.parametrize(
    "policy",
    [
        None,
        policy_pb2.Policy(),
        policy_pb2.Policy(audited=True),
        policy_pb2.Policy(public=True, least_role=ADMIN),
        policy_pb2.Policy(public=True, audited=True),
        policy_pb2.Policy(public=True, second_factor=True),
    ],
)
def test_a_method_without_a_sound_policy_is_refused(policy: policy_pb2.Policy | None) -> None:
    with pytest.raises(PolicyMissing, match=r"probe\.ProbeService\.Probe"):
        policy_of(method_with(policy))
