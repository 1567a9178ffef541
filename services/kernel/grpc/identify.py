"""Fourth step: establishes who calls. The `access` step decides whether the caller may."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from services.kernel.errors import Unauthenticated
from services.kernel.grpc.call import Call
from services.kernel.identity import CALLERS, Identity, Role, bind_identity
from services.kernel.revocations import Revocations
from services.kernel.tokens import REVOKED, TokenVerifier, token_in

# A certificate with one of these names identifies a service of Celeriac. The gateway's is not among them: a
# call through the gateway has the identity of the token that it passes on.
SERVICE_NAMES = {f"{name}.celeriac.internal": name for name in CALLERS}
CERTIFICATE_ISSUER = "mtls"


def identify(
    verifier: TokenVerifier, revocations: Revocations | None
) -> Callable[[Call], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def step(call: Call) -> AsyncIterator[None]:
        try:
            call.identity = _identity_of(call, verifier)
            if revocations is not None and call.identity is not None and revocations.has(call.identity):
                call.identity = None
                raise Unauthenticated("TOKEN_REVOKED", REVOKED)
        except Unauthenticated as refusal:
            call.refusal = refusal
        bind_identity(call.identity)
        yield

    return step


def _identity_of(call: Call, verifier: TokenVerifier) -> Identity | None:
    """Returns the caller's identity; None without a token and without a service's certificate.

    A token takes precedence over the certificate, so that a service can act for a person. Raises
    `Unauthenticated` for a token that is not valid.
    """
    if authorization := call.all_metadata("authorization"):
        return verifier.verify(token_in(authorization))
    for name in call.peer_names():
        if name in SERVICE_NAMES:
            service = SERVICE_NAMES[name]
            return Identity(f"service:{service}", Role.SERVICE, CERTIFICATE_ISSUER, service=service)
    return None
