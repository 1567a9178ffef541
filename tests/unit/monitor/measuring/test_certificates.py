"""When certificates expire that the monitor looks at: that a server shows, and that are in files."""

from __future__ import annotations

import asyncio
import os
import ssl
import time
from pathlib import Path

import pytest

from deploy.standalone.certificates import LIFE, ensure_certificates
from services.kernel.certificates import expiry_of
from services.monitor.measuring.certificates import CertificateFile, ServedCertificate, certificates_of


async def test_what_a_server_shows_is_read_whoever_issued_it(certificates: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "certs/gateway.crt", certificates / "certs/gateway.key")
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    served = ServedCertificate("gateway", f"127.0.0.1:{port}", every=0.0)
    async with server:
        expires_at = await served.expires_at()
    assert expires_at == expiry_of((certificates / "certs/gateway.crt").read_bytes())
    assert expires_at == pytest.approx(time.time() + LIFE.total_seconds(), abs=7 * 86400)
    with pytest.raises(OSError):
        await served.expires_at()


async def test_a_file_is_read_again_when_it_was_replaced(tmp_path: Path) -> None:
    state = tmp_path / "state"
    ensure_certificates(state)
    worker = CertificateFile(state / "certs/worker.crt")
    assert worker.subject == "worker"
    before = await worker.expires_at()
    (state / "certs/worker.crt").write_bytes(b"no certificate")
    with pytest.raises(OSError, match=r"worker\.crt has no certificate as PEM"):
        await worker.expires_at()
    (state / "ca.pem").unlink()
    ensure_certificates(state)
    os.utime(state / "certs/worker.crt", ns=(1, 1))
    assert await worker.expires_at() >= before


def test_of_a_chain_the_first_to_expire_counts(certificates: Path) -> None:
    chain = [(certificates / name).read_bytes() for name in ("certs/worker.crt", "ca.pem")]
    assert expiry_of(b"".join(chain)) == min(map(expiry_of, chain))


def test_only_what_is_named_is_looked_at() -> None:
    assert certificates_of(None, []) == []
    [served, file] = certificates_of("gateway.example.org:8443", [Path("/etc/celeriac/ca.pem")])
    assert (served.subject, file.subject) == ("gateway", "ca")
