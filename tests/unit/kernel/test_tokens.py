"""What a token must be, and every way in which it may not be one."""

from __future__ import annotations

import base64
import hmac
import json
import os
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from structlog.testing import capture_logs

from deploy.standalone.tokens import LocalIssuer
from services.kernel.errors import Unauthenticated, Unavailable
from services.kernel.identity import Role
from services.kernel.tokens import TokenVerifier


@pytest.fixture
def issuer(tmp_path: Path) -> LocalIssuer:
    issuer = LocalIssuer(tmp_path)
    issuer.ensure_key()
    return issuer


@pytest.fixture
def verifier(issuer: LocalIssuer) -> TokenVerifier:
    return TokenVerifier(issuer.key_set, "https://celeriac.local", "celeriac")


def refusal(verifier: TokenVerifier, token: str) -> Unauthenticated:
    with pytest.raises(Unauthenticated) as refused:
        verifier.verify(token)
    return refused.value


def unsigned(claims: dict[str, object], **header: object) -> str:
    def part(content: dict[str, object]) -> str:
        return encoded(json.dumps(content).encode())

    return f"{part({'typ': 'JWT', **header})}.{part(claims)}"


def encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def test_a_token_of_the_local_issuer_shows_its_subject_and_greatest_role(
    issuer: LocalIssuer, verifier: TokenVerifier
) -> None:
    token = issuer.mint("admin", subject="mei", roles=["viewer", "admin", "unknown"])
    identity = verifier.verify(token)
    assert (identity.subject, identity.role) == ("mei", Role.ADMIN)
    assert identity.issuer == "https://celeriac.local"
    assert identity.token_id


def test_an_expired_token_is_told_apart_from_a_forged_one(
    issuer: LocalIssuer, verifier: TokenVerifier
) -> None:
    assert refusal(verifier, issuer.mint(exp=int(time.time()) - 60)).reason == "TOKEN_EXPIRED"


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "someone-else"},
        {"iss": "https://evil.example"},
        {"nbf": int(time.time()) + 86_400},
        {"sub": None},
        {"exp": None},
    ],
)
def test_a_token_for_others_or_not_yet_or_incomplete_is_invalid(
    issuer: LocalIssuer, verifier: TokenVerifier, claims: dict[str, Any]
) -> None:
    assert refusal(verifier, issuer.mint(**claims)).reason == "TOKEN_INVALID"


def test_a_token_without_a_known_role_is_refused(issuer: LocalIssuer, verifier: TokenVerifier) -> None:
    assert refusal(verifier, issuer.mint(roles=[])).reason == "TOKEN_WITHOUT_ROLE"
    assert refusal(verifier, issuer.mint(roles="admin")).reason == "TOKEN_WITHOUT_ROLE"


def test_a_writer_stands_beside_the_order_and_is_no_super_admin(
    issuer: LocalIssuer, verifier: TokenVerifier
) -> None:
    alone = verifier.verify(issuer.mint("writer"))
    assert (alone.role, set(alone.beside)) == (Role.WRITER, {Role.WRITER})
    for greatest in (Role.VIEWER, Role.ADMIN, Role.SUPER_ADMIN):
        both = verifier.verify(issuer.mint(roles=["writer", greatest.label]))
        assert (both.role, set(both.beside)) == (greatest, {Role.WRITER})
    assert not verifier.verify(issuer.mint("admin")).beside


@pytest.mark.parametrize("odd", [["admin"], {"admin": 1}, 3, None])
def test_what_is_no_text_among_the_roles_counts_for_nothing(
    issuer: LocalIssuer, verifier: TokenVerifier, odd: object
) -> None:
    assert verifier.verify(issuer.mint(roles=[odd, "viewer"])).role is Role.VIEWER
    assert refusal(verifier, issuer.mint(roles=[odd])).reason == "TOKEN_WITHOUT_ROLE"


def test_no_token_can_make_its_holder_a_service(issuer: LocalIssuer, verifier: TokenVerifier) -> None:
    assert refusal(verifier, issuer.mint(roles=["service"])).reason == "TOKEN_WITHOUT_ROLE"


def test_an_unsigned_token_is_refused_whatever_it_claims(
    issuer: LocalIssuer, verifier: TokenVerifier
) -> None:
    claims = jwt.decode(issuer.mint("super_admin"), options={"verify_signature": False})
    key_id = json.loads(issuer.key_set.read_text())["keys"][0]["kid"]
    assert refusal(verifier, unsigned(claims, alg="none", kid=key_id) + ".").reason == "TOKEN_INVALID"


def test_the_public_key_is_no_shared_secret(issuer: LocalIssuer, verifier: TokenVerifier) -> None:
    claims = jwt.decode(issuer.mint("super_admin"), options={"verify_signature": False})
    stored = json.loads(issuer.key_set.read_text())["keys"][0]
    public = jwt.PyJWK(stored).key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    # Signed by hand: PyJWT itself refuses to use a public key as a secret.
    signed = unsigned(claims, alg="HS256", kid=stored["kid"])
    signature = hmac.digest(public, signed.encode(), "sha256")
    assert refusal(verifier, f"{signed}.{encoded(signature)}").reason == "TOKEN_INVALID"


def test_a_token_signed_by_another_key_under_our_key_id_is_refused(
    issuer: LocalIssuer, verifier: TokenVerifier
) -> None:
    claims = jwt.decode(issuer.mint("super_admin"), options={"verify_signature": False})
    key_id = json.loads(issuer.key_set.read_text())["keys"][0]["kid"]
    forged = jwt.encode(
        claims, ec.generate_private_key(ec.SECP256R1()), algorithm="ES256", headers={"kid": key_id}
    )
    assert refusal(verifier, forged).reason == "TOKEN_INVALID"
    unknown_key = jwt.encode(
        claims, ec.generate_private_key(ec.SECP256R1()), algorithm="ES256", headers={"kid": "theirs"}
    )
    assert "kid" in refusal(verifier, unknown_key).message


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "é.é.é", "." * 10_000])
def test_nonsense_is_refused_as_such(verifier: TokenVerifier, token: str) -> None:
    assert refusal(verifier, token).reason == "TOKEN_INVALID"


def test_a_key_withdrawn_from_the_set_stops_counting_at_once(
    issuer: LocalIssuer, verifier: TokenVerifier
) -> None:
    token = issuer.mint()
    verifier.verify(token)
    issuer.key_set.write_text('{"keys": []}')
    os.utime(issuer.key_set, (time.time() + 5, time.time() + 5))
    assert refusal(verifier, token).reason == "TOKEN_INVALID"


def test_a_fresh_second_factor_is_shown_by_amr_and_auth_time(
    issuer: LocalIssuer, verifier: TokenVerifier
) -> None:
    now = int(time.time())
    for ways in (["otp"], ["pwd", "mfa"]):
        assert verifier.verify(issuer.mint(amr=ways, auth_time=now - 500)).second_factor


@pytest.mark.parametrize(
    "claims",
    [
        {},
        {"amr": ["otp"]},
        {"auth_time": int(time.time())},
        {"amr": ["pwd"], "auth_time": int(time.time())},
        {"amr": "otp", "auth_time": int(time.time())},
        {"amr": [["otp"], {"otp": 1}], "auth_time": int(time.time())},
        {"amr": ["otp"], "auth_time": str(int(time.time()))},
        {"amr": ["otp"], "auth_time": True},
        {"amr": ["otp"], "auth_time": int(time.time()) - 6600},
        {"amr": ["otp"], "auth_time": int(time.time()) + 6600},
    ],
)
def test_one_that_is_stale_or_claimed_wrongly_counts_for_nothing(
    issuer: LocalIssuer, verifier: TokenVerifier, claims: dict[str, Any]
) -> None:
    assert not verifier.verify(issuer.mint(**claims)).second_factor


DAMAGED: dict[str, bytes | None] = {
    "missing": None,
    "empty": b"",
    "half-written": b'{"keys": [{"kty": "EC", "x": "hunter2',
    "no object": b"[1, 2]",
    "keys that are no list": b'{"keys": {"a": 1}}',
    "a key without an id": b'{"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "hunter2"}]}',
    "a key that is none": b'{"keys": [3, {"kty": "hunter2"}, {"kty": "EC", "x": "!", "y": 4}]}',
    "not UTF-8": b"\xff\xfe",
}


def damage(key_set: Path, content: bytes | None) -> None:
    key_set.unlink(missing_ok=True)
    if content is not None:
        key_set.write_bytes(content)


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED.keys())
def test_while_the_key_set_is_damaged_the_last_good_keys_go_on_and_one_line_names_file_and_fault(
    issuer: LocalIssuer, verifier: TokenVerifier, content: bytes | None
) -> None:
    token, good = issuer.mint("admin", subject="mei"), issuer.key_set.read_bytes()
    verifier.verify(token)
    damage(issuer.key_set, content)
    with capture_logs() as logged:
        assert [verifier.verify(token).subject for _ in range(3)] == ["mei"] * 3
    [line] = logged
    assert (line["event"], line["log_level"]) == ("tokens.keys_not_read", "error")
    assert line["file"] == str(issuer.key_set)
    assert line["fault"]
    assert "hunter2" not in str(line) and token[:20] not in str(line)
    issuer.key_set.write_bytes(good)
    with capture_logs() as logged:
        assert verifier.verify(token).subject == "mei"
    assert [line["event"] for line in logged] == ["tokens.keys_read"]


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED.keys())
def test_without_any_good_key_a_call_is_to_be_sent_again_and_the_token_is_not_blamed(
    issuer: LocalIssuer, verifier: TokenVerifier, content: bytes | None
) -> None:
    token, good = issuer.mint("admin", subject="mei"), issuer.key_set.read_bytes()
    damage(issuer.key_set, content)
    with capture_logs() as logged:
        for _ in range(3):
            with pytest.raises(Unavailable, match="keys that tokens are checked with"):
                verifier.verify(token)
    assert [line["event"] for line in logged] == ["tokens.keys_not_read"]
    issuer.key_set.write_bytes(good)
    assert verifier.verify(token).subject == "mei"


def test_a_key_that_was_withdrawn_is_no_longer_taken(issuer: LocalIssuer, verifier: TokenVerifier) -> None:
    token = issuer.mint()
    verifier.verify(token)
    damage(issuer.key_set, None)
    verifier.verify(token)
    other = LocalIssuer(issuer.key_set.parent / "other")
    other.ensure_key()
    issuer.key_set.write_bytes(other.key_set.read_bytes())
    assert refusal(verifier, token).reason == "TOKEN_INVALID"
