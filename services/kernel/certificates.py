"""The certificate of this process and the authority it trusts, read again when they were renewed.

A renewal replaces files, one after another. So what was read is used only if key and certificate belong
together; until then, and while a file can't be read, the pair that was read last stays in use.
"""

from __future__ import annotations

import ssl
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import structlog
from cryptography import x509

from services.kernel.logged_errors import for_log
from services.kernel.settings import KernelSettings

log = structlog.get_logger(__name__)

# The files are looked at no more often than this.
LOOK_SECONDS = 1.0
Stamps: TypeAlias = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True)
class Pem:
    """What the files hold, as PEM."""

    ca: bytes
    certificate: bytes
    key: bytes


class Certificates:
    """The files that the settings name. `version` grows with each renewal that was taken over."""

    def __init__(self, settings: KernelSettings) -> None:
        self._files = (settings.tls_ca, settings.tls_certificate, settings.tls_key)
        self._stamps = _stamps(self._files)
        self._pem = _read(self._files)
        self._looked_at = time.monotonic()
        self.version = 1
        # Of which version it was read, and the time.
        self._expiry = (0, 0.0)

    def newest(self) -> Pem:
        """Returns what is valid now. May be called from any thread."""
        if time.monotonic() - self._looked_at >= LOOK_SECONDS:
            self._looked_at = time.monotonic()
            self._look()
        return self._pem

    def expires_at(self) -> float:
        """Returns when the certificate expires, in seconds since 1970. May be called from any thread."""
        pem, version = self.newest(), self.version
        if self._expiry[0] != version:
            self._expiry = version, expiry_of(pem.certificate)
        return self._expiry[1]

    def _look(self) -> None:
        try:
            stamps = _stamps(self._files)
            if stamps == self._stamps:
                return
            pem = _read(self._files)
        except (OSError, ssl.SSLError) as error:
            log.warning(
                "certificates.not_read", files=[str(file) for file in self._files], error=for_log(error)
            )
            return
        self._stamps = stamps
        if pem != self._pem:
            self._pem = pem
            self.version += 1
            log.info("certificates.renewed", certificate=str(self._files[1]))


def expiry_of(pem: bytes) -> float:
    """Returns when the first certificate of a chain to expire does so, in seconds since 1970.

    Raises `ValueError` if these are no certificates as PEM.
    """
    chain = x509.load_pem_x509_certificates(pem)
    return min(each.not_valid_after_utc.timestamp() for each in chain)


def tls_context(pem: Pem, protocol: int) -> ssl.SSLContext:
    """Returns a context of Python's own TLS (`ssl.PROTOCOL_TLS_SERVER` or `_CLIENT`), for what is no gRPC.

    The other side must have a certificate of the same authority.
    """
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=pem.ca.decode())
    # The module takes a certificate from files only.
    with tempfile.TemporaryDirectory() as folder:
        certificate, key = Path(folder, "certificate"), Path(folder, "key")
        key.touch(mode=0o600)
        certificate.write_bytes(pem.certificate)
        key.write_bytes(pem.key)
        context.load_cert_chain(certificate, key)
    return context


def _stamps(files: tuple[Path, ...]) -> Stamps:
    found = [file.stat() for file in files]
    return tuple((each.st_mtime_ns, each.st_size, each.st_ino) for each in found)


def _read(files: tuple[Path, Path, Path]) -> Pem:
    """Reads the files; raises `ssl.SSLError` if they are no certificates, or key and certificate differ."""
    authority, certificate, key = files
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(authority)
    context.load_cert_chain(certificate, key)
    return Pem(authority.read_bytes(), certificate.read_bytes(), key.read_bytes())
