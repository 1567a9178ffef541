"""Settings of the door."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from services.kernel.settings import KernelSettings


class DoorSettings(KernelSettings):
    # The private key (ES256, PEM) that signs the tokens of sign-ins. Its public half (`public-key` prints it)
    # is in the key set, CELERIAC_JWKS. Only the door reads this file, and all replicas have the same.
    signing_key: Path = Field(validation_alias="CELERIAC_DOOR_KEY", examples=["/etc/celeriac/door-es256.pem"])
    # The keys that seal the secrets of second factors in the database; without them nobody can enrol.
    sealing_keys: Path | None = Field(
        None, validation_alias="CELERIAC_DOOR_SEALING_KEYS", examples=["/etc/celeriac/door-keys.json"]
    )
    # Tells this copy of the system from others on the same host: the cookie's name ends with it. The gateway
    # and every replica of the door have the same one.
    instance: str = Field(
        "main", pattern="^[a-z0-9-]{1,32}$", validation_alias="CELERIAC_INSTANCE", examples=["main"]
    )
