"""Settings of the door."""

from __future__ import annotations

from pydantic import Field

from services.kernel.settings import KernelSettings


class DoorSettings(KernelSettings):
    # Tells this copy of the system from others on the same host: the cookie's name ends with it. The gateway
    # and every replica of the door have the same one.
    instance: str = Field(
        "main", pattern="^[a-z0-9-]{1,32}$", validation_alias="CELERIAC_INSTANCE", examples=["main"]
    )
