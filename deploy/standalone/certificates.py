"""Keys and certificates of the one-machine system.

The local certificate authority issues one certificate for each component, so that each knows the others by
name.

A service's identity is its certificate's DNS name `<component>.celeriac.internal`. For one machine and
for tests; elsewhere the platform's own authority issues certificates with the same names.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from services.kernel.identity import CALLERS
from services.kernel.sealing import add_key

COMPONENTS = ("gateway", *CALLERS)
LIFE = dt.timedelta(days=365)
RENEW_BEFORE = dt.timedelta(days=30)


def write_private(path: Path, content: bytes) -> None:
    """Writes a file that only its owner can read, completely or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(path.name + ".new")
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    scratch.replace(path)


def ensure_certificates(state: Path) -> None:
    """Makes `ca.pem` and `certs/<component>.crt|.key` below `state`, and renews what is about to expire."""
    wanted = [state / "certs" / f"{component}.crt" for component in COMPONENTS]
    if all(map(_fresh, [state / "ca.pem", *wanted])):
        return
    authority_key, authority = _new_authority()
    for component in COMPONENTS:
        key, certificate = _new_certificate(component, authority_key, authority)
        write_private(state / "certs" / f"{component}.key", _pem_key(key))
        write_private(state / "certs" / f"{component}.crt", _pem(certificate))
    # Last, so that an interrupted run is seen as unfinished. The authority's own key is not kept:
    # renewing makes a new authority.
    write_private(state / "ca.pem", _pem(authority))


def ensure_audit_key(state: Path) -> Path:
    """Makes the key that signs the audit log's checkpoints (Ed25519), and its public half beside it."""
    path = state / "keys" / "audit-ed25519.pem"
    if not path.exists():
        key = ed25519.Ed25519PrivateKey.generate()
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        write_private(path.with_suffix(".pub.pem"), public)
        write_private(path, _pem_key(key))
    return path


def ensure_config_keys(state: Path) -> Path:
    """Makes the file with the keys that sensitive values of the live configuration are encrypted with."""
    path = state / "keys" / "config-keys.json"
    if not path.exists():
        add_key(path)
    return path


def _fresh(path: Path) -> bool:
    if not path.exists():
        return False
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    return certificate.not_valid_after_utc - dt.datetime.now(dt.UTC) > RENEW_BEFORE


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + LIFE)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _new_authority() -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Celeriac local authority")])
    usage = x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        crl_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    builder = (
        _builder(name, name, key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
    )
    return key, builder.sign(key, hashes.SHA256())


def _new_certificate(
    component: str, authority_key: ec.EllipticCurvePrivateKey, authority: x509.Certificate
) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    key = ec.generate_private_key(ec.SECP256R1())
    # Its own name first: that is the identity.
    names = [
        x509.DNSName(f"{component}.celeriac.internal"),
        x509.DNSName("localhost"),
        x509.IPAddress(ipaddress.IPv4Address("127.0.0.1")),
        x509.IPAddress(ipaddress.IPv6Address("::1")),
    ]
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, component)])
    usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    authority_identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
    builder = (
        _builder(subject, authority.subject, key)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .add_extension(authority_identifier, critical=False)
    )
    return key, builder.sign(authority_key, hashes.SHA256())


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _pem_key(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
