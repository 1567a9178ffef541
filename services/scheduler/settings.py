"""Settings of the scheduler."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from services.kernel.broker_layout import LayoutSettings


class SchedulerSettings(LayoutSettings):
    # What sensitive values of the live configuration are encrypted with; without it none can be set.
    config_keys: Path | None = Field(
        None, validation_alias="CELERIAC_CONFIG_KEYS", examples=["/etc/celeriac/config-keys.json"]
    )
