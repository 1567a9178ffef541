"""Fourth step: who calls. It only establishes that; whether they may is `access`'s question."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from services import SERVICES
from services.kernel.errors import Unauthenticated
from services.kernel.grpc.call import Call
from services.kernel.identity import Identity, Role, bind_identity
from services.kernel.tokens import TokenVerifier

# Certificates with these names make their holder a service of Celeriac. The gateway is not among them:
# it speaks for whoever's token it passes on.
SERVICE_NAMES = {f"{name}.celeriac.internal": name for name in (*SERVICES, "worker")}
CERTIFICATE_ISSUER = "mtls"


def identify(verifier: TokenVerifier) -> Callable[[Call], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def step(call: Call) -> AsyncIterator[None]:
        try:
            call.identity = _identity_of(call, verifier)
        except Unauthenticated as refusal:
            call.refusal = refusal
        bind_identity(call.identity)
        yield

    return step


def _identity_of(call: Call, verifier: TokenVerifier) -> Identity | None:
    """A token counts before the certificate, so that a service can act for a person."""
    authorization = call.metadata("authorization")
    if authorization:
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Unauthenticated("TOKEN_MALFORMED", "the authorization header must be: Bearer <token>")
        return verifier.verify(token.strip())
    for name in call.peer_names():
        if name in SERVICE_NAMES:
            return Identity(f"service:{SERVICE_NAMES[name]}", Role.SERVICE, CERTIFICATE_ISSUER)
    return None
