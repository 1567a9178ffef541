"""When certificates expire that no process of ours has: the gateway's, those of workers, an authority's."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
import time
from collections.abc import Sequence
from pathlib import Path

from services.kernel.certificates import expiry_of
from services.monitor.measuring.gateway import GATEWAY

# A handshake takes milliseconds.
ANSWER_SECONDS = 3.0
# A certificate lives for days at least: the one that is served is looked at this often.
EVERY_SECONDS = 300.0


class ServedCertificate:
    """The certificate that a server shows to clients; `address`: its "host:port".

    Envoy reads its files at its start, so the file may be a newer one than is served.
    """

    def __init__(self, subject: str, address: str, every: float = EVERY_SECONDS) -> None:
        host, _, port = address.rpartition(":")
        self.subject = subject
        self._host, self._port, self._every = host.strip("[]"), int(port), every
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        # It is only read, and nothing is sent: also one that has expired, or of whatever authority.
        self._context.check_hostname = False
        self._context.verify_mode = ssl.CERT_NONE
        self._context.set_alpn_protocols(["h2", "http/1.1"])
        self._known = (float("-inf"), 0.0)

    async def expires_at(self) -> float:
        """Returns seconds since 1970. Raises OSError if the server does not answer."""
        looked_at, _ = self._known
        if time.monotonic() - looked_at >= self._every:
            self._known = time.monotonic(), await self._look()
        return self._known[1]

    async def _look(self) -> float:
        async with asyncio.timeout(ANSWER_SECONDS):
            _, writer = await asyncio.open_connection(
                self._host, self._port, ssl=self._context, server_hostname=_name_for_tls(self._host)
            )
        try:
            tls: ssl.SSLObject = writer.get_extra_info("ssl_object")
            shown = tls.getpeercert(binary_form=True)
        finally:
            writer.transport.abort()
        if shown is None:
            raise ConnectionError("it showed no certificate")
        return expiry_of(ssl.DER_cert_to_PEM_cert(shown).encode())


def _name_for_tls(host: str) -> str:
    """Returns the host; "" for an address, which is no name to ask for."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host
    return ""


class CertificateFile:
    """A file of PEM that the monitor can read. Its subject: "worker" for `/etc/celeriac/worker.crt`."""

    def __init__(self, path: Path) -> None:
        self.subject = path.stem
        self._path = path
        # When the file was changed, and when its certificate expires.
        self._known = (-1, 0.0)

    async def expires_at(self) -> float:
        """Returns seconds since 1970. Raises OSError if the file can't be read, or has no certificate."""
        changed = self._path.stat().st_mtime_ns
        if self._known[0] != changed:
            try:
                self._known = changed, expiry_of(self._path.read_bytes())
            except ValueError:
                raise OSError(f"{self._path} has no certificate as PEM") from None
        return self._known[1]


Certificate = ServedCertificate | CertificateFile


def certificates_of(gateway: str | None, files: Sequence[Path]) -> Sequence[Certificate]:
    """Returns what to look at. `gateway`: its "host:port"."""
    served = [] if gateway is None else [ServedCertificate(GATEWAY, gateway)]
    return [*served, *map(CertificateFile, files)]
