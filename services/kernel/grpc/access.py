"""Sixth step: refuses a call that its method's policy does not allow."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.kernel.errors import CeleriacError, PermissionDenied, Unauthenticated
from services.kernel.grpc.call import Call


@asynccontextmanager
async def allow(call: Call) -> AsyncIterator[None]:
    refusal = refusal_of(call)
    if refusal is not None:
        raise refusal
    yield


def refusal_of(call: Call) -> CeleriacError | None:
    """Returns the error for a call that its method's policy does not allow; None when it is allowed."""
    least = call.policy.least_role
    if least is None:
        return None
    if call.identity is None:
        return call.refusal or Unauthenticated(
            "TOKEN_MISSING", "this method needs a token: send the header authorization: Bearer <token>"
        )
    if call.identity.role < least:
        return PermissionDenied(
            "ROLE_TOO_LOW",
            f"this method needs the role {least.label}; {call.identity.subject} "
            f"has {call.identity.role.label}",
        )
    if call.policy.second_factor and not call.identity.second_factor:
        return PermissionDenied(
            "SECOND_FACTOR_REQUIRED",
            "this method needs a second factor given within the last minutes: sign in again with one, for a"
            ' token whose amr has "mfa" or "otp" and whose auth_time is fresh',
        )
    return None
