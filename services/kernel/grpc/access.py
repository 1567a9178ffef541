"""Last step before the handler: lets the call through only if its method's policy does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.kernel.errors import PermissionDenied, Unauthenticated
from services.kernel.grpc.call import Call


@asynccontextmanager
async def allow(call: Call) -> AsyncIterator[None]:
    least = call.policy.least_role
    if least is not None:
        if call.identity is None:
            raise call.refusal or Unauthenticated(
                "TOKEN_MISSING", "this method needs a token: send the header authorization: Bearer <token>"
            )
        if call.identity.role < least:
            raise PermissionDenied(
                "ROLE_TOO_LOW",
                f"this method needs the role {least.label}; {call.identity.subject} "
                f"has {call.identity.role.label}",
            )
    yield
