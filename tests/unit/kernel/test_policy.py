"""Policies come from the contracts; a method without a sound one keeps its service from starting."""

from __future__ import annotations

from typing import Any

import pytest
from celeriac.access.v1 import policy_pb2
from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.descriptor import MethodDescriptor

from services.kernel.identity import Identity, Role
from services.kernel.policy import MethodPolicy, PolicyMissing, policy_of

ADMIN, SERVICE, WRITER = policy_pb2.ROLE_ADMIN, policy_pb2.ROLE_SERVICE, policy_pb2.ROLE_WRITER


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
    policy = policy_pb2.Policy(least_role=ADMIN, also=[WRITER], callers=["scheduler", "worker"])
    read = policy_of(method_with(policy))
    assert (set(read.also), set(read.callers)) == ({Role.WRITER}, {"scheduler", "worker"})


@pytest.mark.parametrize(
    "policy",
    [
        None,
        policy_pb2.Policy(),
        policy_pb2.Policy(audited=True),
        policy_pb2.Policy(public=True, least_role=ADMIN),
        policy_pb2.Policy(public=True, audited=True),
        policy_pb2.Policy(public=True, second_factor=True),
        policy_pb2.Policy(public=True, also=[WRITER]),
        policy_pb2.Policy(public=True, callers=["scheduler"]),
        # The writer stands beside the order, and so can't be the least role of a method.
        policy_pb2.Policy(least_role=WRITER),
        policy_pb2.Policy(least_role=ADMIN, also=[policy_pb2.ROLE_VIEWER]),
        policy_pb2.Policy(least_role=ADMIN, also=[SERVICE]),
        # A method of services names them, and has nothing that only people have.
        policy_pb2.Policy(least_role=SERVICE),
        policy_pb2.Policy(least_role=SERVICE, callers=["scheduler"], also=[WRITER]),
        policy_pb2.Policy(least_role=SERVICE, callers=["scheduler"], second_factor=True),
        policy_pb2.Policy(least_role=ADMIN, callers=["gateway"]),
        policy_pb2.Policy(least_role=SERVICE, callers=["scheduler.celeriac.internal"]),
    ],
)
def test_a_method_without_a_sound_policy_is_refused(policy: policy_pb2.Policy | None) -> None:
    with pytest.raises(PolicyMissing, match=r"probe\.ProbeService\.Probe"):
        policy_of(method_with(policy))


ORDERED = [Role.VIEWER, Role.ADMIN, Role.SUPER_ADMIN]


def test_only_three_roles_are_ordered_and_the_others_reach_themselves_alone() -> None:
    for at, least in enumerate(ORDERED):
        assert [role for role in Role if role.reaches(least)] == ORDERED[at:]
    for role in (Role.WRITER, Role.SERVICE):
        assert [other for other in Role if other.reaches(role)] == [role]


def test_roles_cannot_be_compared_by_their_numbers() -> None:
    writer: Any = Role.WRITER
    with pytest.raises(TypeError):
        _ = writer > Role.SUPER_ADMIN


def who(role: Role, *beside: Role, service: str = "") -> Identity:
    return Identity("mei", role, "https://celeriac.local", beside=frozenset(beside), service=service)


@pytest.mark.parametrize("least", ORDERED)
def test_a_writer_may_call_what_names_it_and_nothing_else(least: Role) -> None:
    writer, both = who(Role.WRITER, Role.WRITER), who(Role.VIEWER, Role.WRITER)
    assert not MethodPolicy(least).admits(writer)
    assert MethodPolicy(least).admits(both) == (least is Role.VIEWER)
    named = MethodPolicy(least, also=frozenset({Role.WRITER}))
    assert named.admits(writer) and named.admits(both)
    assert MethodPolicy(None).admits(writer)


@pytest.mark.parametrize("least", [*ORDERED, Role.SERVICE])
def test_a_certificate_may_call_what_names_it_and_nothing_else(least: Role) -> None:
    policy = MethodPolicy(least, callers=frozenset({"scheduler"}))
    assert policy.admits(who(Role.SERVICE, service="scheduler"))
    assert not policy.admits(who(Role.SERVICE, service="worker"))
    assert not MethodPolicy(least).admits(who(Role.SERVICE, service="scheduler"))


def test_no_token_may_call_a_method_of_services() -> None:
    policy = MethodPolicy(Role.SERVICE, callers=frozenset({"scheduler"}))
    assert not any(policy.admits(who(role, Role.WRITER)) for role in Role if role is not Role.SERVICE)
