"""What the monitor measures of a real gateway: the certificate that it serves, and whom it refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.standalone.tokens import LocalIssuer
from services.kernel.certificates import expiry_of
from services.monitor.measuring.certificates import ServedCertificate
from services.monitor.measuring.gateway import GatewayRefusals
from tests.support.gateway import Gateway, running_gateway


@pytest.fixture
def gateway(certificates: Path, tokens: LocalIssuer) -> Iterator[Gateway]:
    """No service runs behind it: what it lets through ends in 503."""
    with running_gateway(certificates, {}) as running:
        yield running


async def test_its_certificate_is_read_and_callers_whom_it_refuses_are_counted(
    gateway: Gateway, certificates: Path, tokens: LocalIssuer
) -> None:
    expires_at = await ServedCertificate("gateway", gateway.address).expires_at()
    assert expires_at == expiry_of((certificates / "certs/gateway.crt").read_bytes())
    refusals, admin = GatewayRefusals(gateway.admin_socket), tokens.mint("admin")
    assert await refusals.look() == 0
    for token in ("", "no.token.atall", admin[:-8] + "AAAAAAAA"):
        assert gateway.rest("GET", "/v1/schedules", token=token).status == 401
    assert gateway.rest("GET", "/v1/schedules", token=admin).status == 503
    assert await refusals.look() == 3
