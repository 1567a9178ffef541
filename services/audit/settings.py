"""Settings of the audit service."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from services.kernel.settings import KernelSettings


class AuditSettings(KernelSettings):
    key: Path = Field(validation_alias="CELERIAC_AUDIT_KEY", examples=["/etc/celeriac/audit-ed25519.pem"])
    # The name under which checkpoints are signed. It must never change during the life of a log.
    origin: str = Field(
        "celeriac.local/audit",
        validation_alias="CELERIAC_AUDIT_ORIGIN",
        examples=["celeriac.example.com/audit"],
    )
