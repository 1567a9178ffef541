"""Who asks: the caller of a request by its token, and whether a page of this address asks."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import HTTPConnection

from services.kernel.errors import PermissionDenied, Unauthenticated
from services.kernel.identity import Identity
from services.kernel.revocations import Revocations
from services.kernel.tokens import REVOKED, TokenVerifier, token_in

MISSING = "this needs a sign-in: open a one-time link, or send the header authorization: Bearer <token>"
CROSS_SITE = "only a page of this address may do this for who is signed in"


@dataclass(frozen=True)
class Caller:
    identity: Identity
    token: str


class Callers:
    """Finds out who asks, as the services do for calls: the gateway has made a cookie a token by then."""

    def __init__(self, verifier: TokenVerifier, revocations: Revocations) -> None:
        self._verifier = verifier
        self._revocations = revocations

    def caller_of(self, request: HTTPConnection) -> Caller | None:
        """Returns the caller; None without a token. Raises `Unauthenticated` for one that is not taken."""
        given = request.headers.getlist("authorization")
        if given in ([], [""]):
            return None
        token = token_in(given)
        identity = self._verifier.verify(token)
        if self._revocations.has(identity):
            raise Unauthenticated("TOKEN_REVOKED", REVOKED)
        request.scope["actor"] = identity.subject
        return Caller(identity, token)

    def takes(self, key_id: str) -> bool:
        """Whether tokens are taken that the key of this id signed."""
        return self._verifier.knows(key_id)

    def needed(self, request: HTTPConnection) -> Caller:
        """Returns the caller; raises `Unauthenticated` if there is none."""
        caller = self.caller_of(request)
        if caller is None:
            raise Unauthenticated("TOKEN_MISSING", MISSING)
        return caller


def refuse_other_sites(request: HTTPConnection) -> None:
    """Raises `PermissionDenied` for what a page of another address asks for, be it on another port only.

    Browsers say where a request comes from (`sec-fetch-site`; older ones, and all for a WebSocket, `origin`).
    Programs say neither, and no browser's cookie comes with what they send.
    """
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is not None and site != "same-origin":
        raise PermissionDenied("CROSS_SITE", CROSS_SITE)
    if origin is not None and origin.lower() != f"https://{request.headers.get('host', '')}".lower():
        raise PermissionDenied("CROSS_SITE", CROSS_SITE)
