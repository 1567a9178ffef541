"""Sign-ins as tokens: signed by the door, with a key that it alone has.

A token is like any other of the system (services.kernel.tokens) and lives for a quarter of an hour. All
tokens of one sign-in name it (`sid`), so that they are revoked together. One claim is the door's own,
`session`: the role that the sign-in gave, and the moment at which it ends however often it is renewed. So
nothing has to be remembered of a sign-in, and every replica can renew it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from services.kernel.errors import Unauthenticated
from services.kernel.identity import Role

LIFE_SECONDS = 15 * 60
LONGEST_SECONDS = 12 * 3600
KEY_PREFIX = "door-"
OVER = "sign in again: a sign-in is good for twelve hours, and only one by a link can be prolonged"


@dataclass(frozen=True)
class Session:
    """A sign-in. Times are seconds since 1970."""

    id: str
    subject: str
    # What it gave, and what the present token has: more, for a while after a second factor.
    role: Role
    ends_at: int
    # When the person last proved who they are (`auth_time`): by the link, or later by a second factor.
    proved_at: int
    second_factor: bool = False
    raised: bool = False

    @classmethod
    def begun(cls, subject: str, role: Role, now: float) -> Session:
        return cls(uuid.uuid4().hex, subject, role, int(now) + LONGEST_SECONDS, int(now))

    def stepped_up(self, now: float) -> Session:
        """Returns the session after a second factor. An admin is a super_admin then; others stay."""
        return dataclasses.replace(
            self, proved_at=int(now), second_factor=True, raised=self.role is Role.ADMIN
        )

    def renewed(self, now: float, second_factor_life: float) -> Session:
        """Returns the session as it goes on; what a second factor gave ends with that.

        Raises `Unauthenticated` when the session is over.
        """
        if now >= self.ends_at:
            raise Unauthenticated("SESSION_OVER", OVER)
        if self.second_factor and now - self.proved_at >= second_factor_life:
            return dataclasses.replace(self, second_factor=False, raised=False)
        return self

    @property
    def present_role(self) -> Role:
        return Role.SUPER_ADMIN if self.raised else self.role

    def expires_at(self, now: float, second_factor_life: float) -> int:
        """Returns until when a token that is made now is good."""
        ends = [int(now) + LIFE_SECONDS, self.ends_at]
        if self.second_factor:
            ends.append(self.proved_at + int(second_factor_life))
        return min(ends)


@dataclass(frozen=True)
class Token:
    text: str
    token_id: str
    issued_at: int
    expires_at: int


class Signer:
    """Signs sessions, and reads them from tokens that it signed."""

    def __init__(self, key: Path, issuer: str, audience: str, second_factor_life: float) -> None:
        self._key = _private_key(key)
        self.key_id = key_id(self._key.public_key())
        self._issuer = issuer
        self._audience = audience
        self.second_factor_life = second_factor_life

    def sign(self, session: Session, now: float) -> Token:
        # Whoever reads the id of one token in a log sees by it which sign-in it was.
        token_id = f"{session.id}.{uuid.uuid4().hex[:12]}"
        expires = session.expires_at(now, self.second_factor_life)
        claims = {
            "iss": self._issuer,
            "aud": self._audience,
            "sub": session.subject,
            "iat": int(now),
            "exp": expires,
            "jti": token_id,
            "sid": session.id,
            "roles": [session.present_role.label],
            "auth_time": session.proved_at,
            "amr": ["otp"] if session.second_factor else ["link"],
            "session": {"role": session.role.label, "end": session.ends_at},
        }
        text = jwt.encode(claims, self._key, algorithm="ES256", headers={"kid": self.key_id})
        return Token(text, token_id, int(now), expires)

    def session_of(self, token: str) -> tuple[Session, Token]:
        """Returns the session of a token that was verified; raises `Unauthenticated` for another's token."""
        if jwt.get_unverified_header(token).get("kid") != self.key_id:
            raise Unauthenticated("SESSION_OVER", OVER)
        claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
        if "sid" not in claims:
            # Of a door before tokens named their sign-in: it could not be ended as a whole.
            raise Unauthenticated("SESSION_OVER", OVER)
        base = Role[claims["session"]["role"].upper()]
        session = Session(
            claims["sid"],
            claims["sub"],
            base,
            claims["session"]["end"],
            claims["auth_time"],
            second_factor="otp" in claims["amr"],
            raised=claims["roles"] != [base.label],
        )
        return session, Token(token, claims["jti"], claims["iat"], claims["exp"])


def key_id(public: ec.EllipticCurvePublicKey) -> str:
    """Returns the id (`kid`) of a key: it follows from the key, so replicas and the key set agree on it."""
    der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return KEY_PREFIX + hashlib.sha256(der).hexdigest()[:16]


def public_jwk(key: Path) -> dict[str, Any]:
    """Returns the public half of a key file as a member of a key set (RFC 7517)."""
    public = _private_key(key).public_key()
    jwk: dict[str, Any] = jwt.algorithms.ECAlgorithm.to_jwk(public, as_dict=True)
    return {**jwk, "kid": key_id(public), "use": "sig", "alg": "ES256"}


def _private_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """Raises SystemExit if the file is no key that can be used. The text quotes nothing of it."""
    try:
        content = path.read_bytes()
        if b"ENCRYPTED" in content:
            raise SystemExit(f"CELERIAC_DOOR_KEY: {path} is protected by a password; store it without one")
        key = serialization.load_pem_private_key(content, password=None)
    except (OSError, ValueError) as error:
        raise SystemExit(
            f"CELERIAC_DOOR_KEY: {path} can't be read as a key ({type(error).__name__})"
        ) from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name != "secp256r1":
        raise SystemExit(f"CELERIAC_DOOR_KEY: {path} is no key for ES256 (an elliptic curve key of P-256)")
    return key
