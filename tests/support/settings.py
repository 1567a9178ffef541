"""Settings of a component, for what of the kernel runs in the test's own process."""

from __future__ import annotations

from pathlib import Path

from deploy.standalone.tokens import LocalIssuer
from services.kernel.settings import KernelSettings


def kernel_settings(
    state: Path, tokens: LocalIssuer, component: str, database_url: str = "postgresql://nowhere/none"
) -> KernelSettings:
    return KernelSettings(
        database_url=database_url,
        listen="127.0.0.1:0",
        tls_ca=state / "ca.pem",
        tls_certificate=state / f"certs/{component}.crt",
        tls_key=state / f"certs/{component}.key",
        token_keys=tokens.key_set,
    )
