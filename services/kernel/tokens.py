"""Verifies the signed tokens (JWT, RFC 7519) of people and programs.

Algorithms are pinned to ES256 and EdDSA: never `none`, never a shared secret. Keys come only from the
key set in the settings, never from the token. The gateway makes the same checks; the services repeat them.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from pathlib import Path

import jwt

from services.kernel.errors import Unauthenticated
from services.kernel.identity import ORDER, TOKEN_ROLES, Identity, Role
from services.kernel.token_keys import TokenKeys

ALGORITHMS = ["ES256", "EdDSA"]
REQUIRED_CLAIMS = ["exp", "aud", "iss", "sub", "jti"]
LEEWAY_SECONDS = 30
# The header with the token: once, with one token. The case of the scheme does not matter (RFC 9110, section
# 11.1). The gateway uses the same pattern, which is therefore of the kind that RE2 knows.
AUTHORIZATION = re.compile(r"(?i)bearer +[^ ,]+ *")
MALFORMED_AUTHORIZATION = "the header authorization must be sent once, with one token: Bearer <token>"
# A token with the claims that are read here has some hundred characters.
MOST_CHARACTERS = 16 * 1024
# Ways to sign in (`amr`, RFC 8176) that show a second factor: several factors, or a one-time password.
SECOND_FACTORS = frozenset({"mfa", "otp"})
SECOND_FACTOR_SECONDS = 600.0
REVOKED = "the token was revoked; sign in again, or ask who revoked it"
KEY_WITHDRAWN = "the key (kid) of the token was withdrawn; ask for a new token"
EXPIRED = "the token has expired; ask for a new one"


def token_in(authorization: Sequence[str]) -> str:
    """Returns the token in the values of the header, one for each time that it was sent.

    Raises `Unauthenticated` if it was not sent once, with one token.
    """
    # Several headers are one with commas between (RFC 9110, section 5.3), which no token has.
    joined = ",".join(authorization)
    if not AUTHORIZATION.fullmatch(joined):
        raise Unauthenticated("TOKEN_MALFORMED", MALFORMED_AUTHORIZATION)
    return joined.partition(" ")[2].strip()


class TokenVerifier:
    """Checks tokens of one issuer against its key set, a JWKS file.

    The file is read again when it changes, so that a key can be added or withdrawn while services run.
    """

    def __init__(
        self,
        key_set: Path,
        issuer: str,
        audience: str,
        second_factor_seconds: float = SECOND_FACTOR_SECONDS,
    ) -> None:
        self._keys = TokenKeys(key_set)
        self._issuer = issuer
        self._audience = audience
        self._second_factor_seconds = second_factor_seconds

    def verify(self, token: str) -> Identity:
        """Returns the identity that the token proves.

        Raises `Unauthenticated` if the token is wrong, with the fault; `Unavailable` if no key was read yet.
        """
        if len(token) > MOST_CHARACTERS:
            raise Unauthenticated("TOKEN_INVALID", f"the token is longer than {MOST_CHARACTERS} characters")
        try:
            key_id, key = self._key_of(jwt.get_unverified_header(token))
            claims = jwt.decode(
                token,
                key,
                algorithms=ALGORITHMS,
                audience=self._audience,
                issuer=self._issuer,
                leeway=LEEWAY_SECONDS,
                options={"require": REQUIRED_CLAIMS},
            )
        except jwt.ExpiredSignatureError as error:
            raise Unauthenticated("TOKEN_EXPIRED", EXPIRED) from error
        except jwt.PyJWTError as error:
            # PyJWT's texts name the wrong claim and hold nothing secret.
            raise Unauthenticated("TOKEN_INVALID", f"the token is not valid: {error}") from error
        role, beside = _roles(claims.get("roles"))
        return Identity(
            subject=claims["sub"],
            role=role,
            issuer=claims["iss"],
            token_id=claims["jti"],
            session_id=_session_id(claims.get("sid")),
            key_id=key_id,
            issued_at=float(claims.get("iat", 0.0)),
            valid_until=float(claims["exp"]) + LEEWAY_SECONDS,
            beside=beside,
            second_factor=self._shows_second_factor(claims),
        )

    def knows(self, key_id: str) -> bool:
        """Whether the key set has the key now; raises `Unavailable` if no key was read yet."""
        return self._keys.find(key_id) is not None

    def _shows_second_factor(self, claims: dict[str, object]) -> bool:
        """Whether a second factor was given (`amr`), and recently (`auth_time`, OpenID Connect Core 2)."""
        ways, given_at = claims.get("amr"), claims.get("auth_time")
        if not isinstance(ways, list) or SECOND_FACTORS.isdisjoint(filter(_is_text, ways)):
            return False
        if not isinstance(given_at, int | float) or isinstance(given_at, bool):
            return False
        return -LEEWAY_SECONDS <= time.time() - given_at <= self._second_factor_seconds

    def has_key_of(self, identity: Identity) -> bool:
        """Whether the key is still in the key set that signed the token which proved this identity."""
        return self._keys.find(identity.key_id) is not None

    def _key_of(self, header: dict[str, object]) -> tuple[str, jwt.PyJWK]:
        if header.get("alg") not in ALGORITHMS:
            raise jwt.InvalidAlgorithmError(f"its algorithm is none of {', '.join(ALGORITHMS)}")
        key_id = str(header.get("kid"))
        key = self._keys.find(key_id)
        if key is None:
            raise jwt.InvalidKeyError("its key id (kid) is not one of the issuer's")
        return key_id, key


def _session_id(claimed: object) -> str:
    """Returns the id of the sign-in; "" for a token that names none, as those of programs."""
    return claimed if isinstance(claimed, str) else ""


def _is_text(way: object) -> bool:
    return isinstance(way, str)


def _roles(claimed: object) -> tuple[Role, frozenset[Role]]:
    """Returns the role of an `Identity`, and its roles beside the order, from the `roles` claim.

    Raises `Unauthenticated` if the claim lists none of ours.
    """
    listed = claimed if isinstance(claimed, list) else []
    roles = {TOKEN_ROLES[role] for role in listed if isinstance(role, str) and role in TOKEN_ROLES}
    if not roles:
        raise Unauthenticated(
            "TOKEN_WITHOUT_ROLE", f"the token's `roles` claim lists none of {', '.join(TOKEN_ROLES)}"
        )
    ordered = [role for role in ORDER if role in roles]
    beside = frozenset(roles.difference(ORDER))
    return (ordered[-1] if ordered else min(beside, key=lambda role: role.label)), beside
