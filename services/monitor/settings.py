"""Settings of the monitor."""

from __future__ import annotations

from pydantic import Field

from services.kernel.broker_layout import LayoutSettings


class MonitorSettings(LayoutSettings):
    # The newest tasks that are answered from memory; all are in the database.
    tasks_in_memory: int = Field(
        100_000, ge=1000, validation_alias="CELERIAC_MONITOR_TASKS_IN_MEMORY", examples=["100000"]
    )
    # Task changes that wait for a reader of Watch; more than that are left out, and counted.
    watch_buffer: int = Field(
        1000, ge=10, validation_alias="CELERIAC_MONITOR_WATCH_BUFFER", examples=["1000"]
    )
    # How long workers have to answer a command, in seconds.
    control_timeout: float = Field(
        2.0, gt=0, le=30, validation_alias="CELERIAC_MONITOR_CONTROL_TIMEOUT", examples=["2"]
    )
