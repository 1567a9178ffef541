"""Seventh step: refuses a call that its method's policy does not allow."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.kernel.errors import CeleriacError, PermissionDenied, Unauthenticated
from services.kernel.grpc.call import Call
from services.kernel.identity import Identity, Role
from services.kernel.policy import MethodPolicy


@asynccontextmanager
async def allow(call: Call) -> AsyncIterator[None]:
    refusal = refusal_of(call)
    if refusal is not None:
        raise refusal
    yield


def refusal_of(call: Call) -> CeleriacError | None:
    """Returns the error for a call that its method's policy does not allow; None when it is allowed."""
    if call.policy.public:
        return None
    if call.identity is None:
        return call.refusal or Unauthenticated(
            "TOKEN_MISSING", "this method needs a token: send the header authorization: Bearer <token>"
        )
    return refusal_to(call.identity, call.policy)


def refusal_to(caller: Identity, policy: MethodPolicy) -> PermissionDenied | None:
    """Returns the error for a caller whom a policy does not admit; None when it does."""
    if not policy.admits(caller):
        return _role_refusal(policy, caller)
    if policy.second_factor and not caller.second_factor:
        return PermissionDenied(
            "SECOND_FACTOR_REQUIRED",
            "this method needs a second factor given within the last minutes: sign in again with one, for a"
            ' token whose amr has "mfa" or "otp" and whose auth_time is fresh; beside `make up`, such a'
            " token is printed by `make token ROLE=super_admin OTP=<code>`, after `make enrol`",
        )
    return None


def _role_refusal(policy: MethodPolicy, caller: Identity) -> PermissionDenied:
    least = policy.least_role
    assert least is not None
    if least is Role.SERVICE:
        named = ", ".join(sorted(policy.callers))
        return PermissionDenied(
            "SERVICES_ONLY",
            f"this method is for Celeriac's own services ({named}), by their certificates;"
            f" {caller.subject} has the role {caller.role.label}",
        )
    if caller.role is Role.SERVICE:
        return PermissionDenied(
            "CALLER_NOT_NAMED",
            f"this method does not name the service {caller.service} among its callers: send the token of"
            f" the person for whom the call is made, with the role {least.label}",
        )
    needed = " or ".join([least.label, *sorted(role.label for role in policy.also)])
    return PermissionDenied(
        "ROLE_TOO_LOW",
        f"this method needs the role {needed}; {caller.subject} has {caller.role.label}",
    )
