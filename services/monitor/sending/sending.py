"""What sends tasks, for those that ask for it."""

from __future__ import annotations

from dataclasses import dataclass

from services.monitor.sending.retries import Retries
from services.monitor.sending.runs import Runs


@dataclass(frozen=True)
class Sending:
    """`retries`: of tasks that have ended; `runs`: of tasks by name."""

    retries: Retries
    runs: Runs
