"""Settings of the scheduler."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from services.kernel.settings import KernelSettings


class SchedulerSettings(KernelSettings):
    # What sensitive values of the live configuration are encrypted with; without it none can be set.
    config_keys: Path | None = Field(
        None, validation_alias="CELERIAC_CONFIG_KEYS", examples=["/etc/celeriac/config-keys.json"]
    )
    # As the application's `broker_transport_options` have it: global_keyprefix.
    key_prefix: str = Field("", validation_alias="CELERIAC_BROKER_KEY_PREFIX", examples=["myapp:"])
