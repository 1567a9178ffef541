"""Settings of the monitor."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from services.kernel.broker_layout import LayoutSettings


class MonitorSettings(LayoutSettings):
    # The number of recent tasks kept in memory, where their events are merged; all tasks are in the database.
    tasks_in_memory: int = Field(
        100_000, ge=1000, validation_alias="CELERIAC_MONITOR_TASKS_IN_MEMORY", examples=["100000"]
    )
    # The number of changes that may wait for one reader of WatchEvents or WatchOperations. Further ones are
    # left out and counted.
    watch_buffer: int = Field(
        1000, ge=10, validation_alias="CELERIAC_MONITOR_WATCH_BUFFER", examples=["1000"]
    )
    # A file that must exist before the system says that it is ready: written by whoever starts it, after its
    # own first steps.
    ready_file: Path | None = Field(
        None, validation_alias="CELERIAC_MONITOR_READY_FILE", examples=["/run/celeriac/ready"]
    )
    # Seconds that workers have to answer a command.
    control_timeout: float = Field(
        2.0, gt=0, le=30, validation_alias="CELERIAC_MONITOR_CONTROL_TIMEOUT", examples=["2"]
    )
