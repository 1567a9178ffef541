"""Sign-in: from a one-time link to a cookie, its renewal, a second factor, and its end.

The cookie holds a token that no script of a page can read. The gateway makes a header `authorization` of it,
so that services see no difference.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import secrets
import time
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from prometheus_client import CollectorRegistry, Counter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from services.door.callers import Caller, Callers, refuse_other_sites
from services.door.paths import ENTER, SESSION, cookie_name
from services.door.recording import recorded
from services.door.second_factor import SecondFactors
from services.door.signing import Session, Signer, Token
from services.door.store_links import Link, LinkStore
from services.kernel.database import Database
from services.kernel.errors import (
    FailedPrecondition,
    FieldFault,
    Invalid,
    NotReady,
    PermissionDenied,
    Unauthenticated,
)
from services.kernel.identity import ORDER, Identity, Role
from services.kernel.outbox import Outbox
from services.kernel.revocations import Revocations, revoke_token
from services.kernel.tokens import LEEWAY_SECONDS

LINK_LIFE = dt.timedelta(seconds=120)
KEY_BYTES = 32
MOST_BODY = 16 * 1024
# Answers of these routes are one person's, of one moment.
HEADERS = {"cache-control": "no-store", "x-content-type-options": "nosniff", "referrer-policy": "no-referrer"}
KEY_WITHDRAWN = (
    "nobody can sign in now: the door's key is not in the key set (CELERIAC_JWKS); "
    "`python -m services.door public-key` prints what to add to it"
)
KEY_LOOKED_FOR = 5.0
SPENT = "the link was used, or is too old; make a new one: `make status` prints it, or POST /session/links"


class SignIn:
    """The routes below /session."""

    def __init__(
        self,
        database: Database,
        outbox: Outbox,
        signer: Signer,
        callers: Callers,
        revocations: Revocations,
        factors: SecondFactors,
        instance: str,
        registry: CollectorRegistry,
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._signer = signer
        self._callers = callers
        self._revocations = revocations
        self._factors = factors
        self._cookie = cookie_name(instance)
        self._count = Counter(
            "celeriac_door_sign_ins", "Sign-ins by a link, and links refused", ["outcome"], registry=registry
        )

    def routes(self) -> Sequence[BaseRoute]:
        posts = {
            f"{SESSION}/links": self.make_link,
            ENTER: self.enter,
            f"{SESSION}/renew": self.renew,
            f"{SESSION}/step-up": self.step_up,
            f"{SESSION}/sign-out": self.sign_out,
        }
        return [
            Route(SESSION, self.look),
            *(Route(path, endpoint, methods=["POST"]) for path, endpoint in posts.items()),
        ]

    async def look(self, request: Request) -> Response:
        """Who is signed in; nobody is no error."""
        try:
            caller = self._callers.caller_of(request)
            if caller is None:
                return self._signed_out()
            return self._shown(*self._signer.session_of(caller.token))
        except Unauthenticated:
            return self._signed_out()

    async def make_link(self, request: Request) -> Response:
        """A link for the caller, with no more than the caller may, and never more than an admin."""
        refuse_other_sites(request)
        # A link made after the end of the sign-in would go on with it.
        await self._revocations.read()
        caller = self._callers.needed(request).identity
        if caller.role not in ORDER:
            raise PermissionDenied(
                "ROLE_TOO_LOW", f"{caller.subject} has the role {caller.role.label}, of programs"
            )
        role = Role.ADMIN if caller.role is Role.SUPER_ADMIN else caller.role
        key = secrets.token_urlsafe(KEY_BYTES)
        async with (
            recorded(self._outbox, request, caller.subject, caller.role.label, caller.token_id),
            self._database.transaction() as connection,
        ):
            store = LinkStore(connection)
            await store.forget_old()
            made_by = caller.session_id or caller.token_id
            ends = await store.add(_hash(key), caller.subject, role.label, made_by, LINK_LIFE)
        link = f"https://{request.headers.get('host', 'localhost')}{ENTER}#{key}"
        return JSONResponse({"link": link, "expire_time": _moment(ends.timestamp())}, headers=HEADERS)

    async def enter(self, request: Request) -> Response:
        refuse_other_sites(request)
        key = await _text(request, "key", "the part of the link after #")
        if not self._callers.takes(self._signer.key_id):
            # Before the link is spent: it would give a token that nobody takes.
            raise NotReady(KEY_WITHDRAWN, KEY_LOOKED_FOR)
        async with self._database.transaction() as connection:
            link = await LinkStore(connection).use(_hash(key))
        await self._revocations.read()
        if link is None or self._is_revoked(link):
            self._count.labels("refused").inc()
            raise FailedPrecondition("LINK_SPENT", SPENT)
        now = time.time()
        session = Session.begun(link.subject, Role[link.role.upper()], now)
        request.scope["actor"] = link.subject
        token = self._signer.sign(session, now)
        async with recorded(self._outbox, request, link.subject, link.role, token.token_id):
            self._count.labels("signed_in").inc()
        return self._signed_in(session, token)

    async def renew(self, request: Request) -> Response:
        _, session = await self._session(request)
        now = time.time()
        renewed = session.renewed(now, self._signer.second_factor_life)
        return self._signed_in(renewed, self._signer.sign(renewed, now))

    async def step_up(self, request: Request) -> Response:
        caller, session = await self._session(request)
        code = await _text(request, "code", "123456")
        now = time.time()
        session.renewed(now, self._signer.second_factor_life)
        stepped = session.stepped_up(now)
        token = self._signer.sign(stepped, now)
        identity = caller.identity
        async with recorded(self._outbox, request, identity.subject, identity.role.label, identity.token_id):
            await self._factors.check(identity.subject, code, now)
        return self._signed_in(stepped, token)

    async def sign_out(self, request: Request) -> Response:
        """Revokes the sign-in, and clears the cookie. Each of its tokens is refused within a second."""
        refuse_other_sites(request)
        try:
            caller = self._callers.caller_of(request)
        except Unauthenticated:
            caller = None
        if caller is not None:
            identity = caller.identity
            async with (
                recorded(self._outbox, request, identity.subject, identity.role.label, identity.token_id),
                self._database.transaction() as connection,
            ):
                revoked, until = self._ended_by(caller)
                moment = dt.datetime.fromtimestamp(until, dt.UTC)
                await revoke_token(connection, revoked, moment, identity.subject, "signed out")
            await self._revocations.read()
        return self._signed_out(clear=True)

    async def _session(self, request: Request) -> tuple[Caller, Session]:
        """Returns who goes on with a sign-in; raises what refuses it.

        Revocations are read anew: who is shut out must not get another token before that is known here.
        """
        refuse_other_sites(request)
        await self._revocations.read()
        caller = self._callers.needed(request)
        return caller, self._signer.session_of(caller.token)[0]

    def _ended_by(self, caller: Caller) -> tuple[str, float]:
        """Returns what to revoke when a caller signs out, and until when: the sign-in; or the one token.

        Renewals and links of a sign-in are tokens of it, too: none of them goes on.
        """
        try:
            session, _ = self._signer.session_of(caller.token)
        except Unauthenticated:
            return caller.identity.token_id, caller.identity.valid_until
        return session.id, session.ends_at + LEEWAY_SECONDS

    def _is_revoked(self, link: Link) -> bool:
        """Whether what made the link is revoked: the token, or all of its person's until then."""
        maker = Identity(link.subject, Role.VIEWER, "", link.made_by, issued_at=link.created_at)
        return self._revocations.has(maker)

    def _signed_in(self, session: Session, token: Token) -> Response:
        answer = self._shown(session, token)
        life = token.expires_at - token.issued_at
        answer.headers["set-cookie"] = self._cookie_of(token.text, life)
        return answer

    def _shown(self, session: Session, token: Token) -> Response:
        half = (token.issued_at + token.expires_at) / 2
        told = {
            "signed_in": True,
            "subject": session.subject,
            "role": session.present_role.label,
            "second_factor": session.second_factor,
            "renew_time": _moment(half),
            "expire_time": _moment(token.expires_at),
            "end_time": _moment(session.ends_at),
        }
        return JSONResponse(told, headers=HEADERS)

    def _signed_out(self, *, clear: bool = False) -> Response:
        answer = JSONResponse({"signed_in": False}, headers=HEADERS)
        if clear:
            answer.headers["set-cookie"] = self._cookie_of("", 0)
        return answer

    def _cookie_of(self, value: str, life: int) -> str:
        return f"{self._cookie}={value}; Path=/; Max-Age={life}; Secure; HttpOnly; SameSite=Strict"


async def _text(request: Request, field: str, example: str) -> str:
    """Returns a field of the JSON body; raises `Invalid` that names it."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MOST_BODY:
            raise Invalid([FieldFault("body", f"is longer than {MOST_BODY} bytes", _example(field, example))])
    try:
        content: Any = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise Invalid([FieldFault("body", "is not JSON", _example(field, example))]) from None
    value = content.get(field) if isinstance(content, Mapping) else None
    if not isinstance(value, str) or not value:
        raise Invalid([FieldFault(field, "is no text", _example(field, example))])
    unknown = sorted(content.keys() - {field})
    if unknown:
        raise Invalid(
            [FieldFault(unknown[0][:100], f"is no field; only {field} is", _example(field, example))]
        )
    if _is_twice(body):
        raise Invalid([FieldFault(field, "is there twice", _example(field, example))])
    return value


def _is_twice(body: bytes) -> bool:
    """Whether an object of one field has that more than once, of which JSON readers take one silently."""
    try:
        return len(json.loads(body, object_pairs_hook=list)) > 1
    except RecursionError:
        # A text is not deep: a value that is stands before it.
        return True


def _example(field: str, example: str) -> str:
    return orjson.dumps({field: example}).decode()


def _hash(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()


def _moment(seconds: float) -> str:
    return dt.datetime.fromtimestamp(seconds, dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
