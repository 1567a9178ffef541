"""Settings of the monitor."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from services.kernel.settings import KernelSettings


def _steps(text: str) -> str:
    steps = [part.strip() for part in text.split(",")]
    if not all(step.isdecimal() for step in steps) or len(steps) > 100:
        raise ValueError(f"{text!r} is not a list of priorities")
    if sorted(set(map(int, steps))) != list(map(int, steps)) or int(steps[0]) != 0:
        raise ValueError(f"{text!r} must rise, and begin with 0")
    return text


class MonitorSettings(KernelSettings):
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
    # As the application's `broker_transport_options` have them: global_keyprefix, priority_steps, sep.
    key_prefix: str = Field("", validation_alias="CELERIAC_BROKER_KEY_PREFIX", examples=["myapp:"])
    priority_steps_text: Annotated[str, AfterValidator(_steps)] = Field(
        "0,3,6,9", validation_alias="CELERIAC_BROKER_PRIORITY_STEPS", examples=["0,3,6,9"]
    )
    priority_separator: str = Field(
        "\x06\x16", min_length=1, validation_alias="CELERIAC_BROKER_PRIORITY_SEPARATOR", examples=[":"]
    )

    @property
    def priority_steps(self) -> tuple[int, ...]:
        return tuple(map(int, self.priority_steps_text.split(",")))
