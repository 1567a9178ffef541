"""Settings of the scheduler."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from services.kernel.broker_layout import LayoutSettings


class SchedulerSettings(LayoutSettings):
    # The file with the keys that encrypt sensitive values of the live configuration. Without it, none can be
    # set.
    config_keys: Path | None = Field(
        None, validation_alias="CELERIAC_CONFIG_KEYS", examples=["/etc/celeriac/config-keys.json"]
    )
