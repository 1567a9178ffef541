"""Settings of the scheduler."""

from __future__ import annotations

from services.kernel.settings import KernelSettings


class SchedulerSettings(KernelSettings):
    """The kernel's are all that it needs."""
