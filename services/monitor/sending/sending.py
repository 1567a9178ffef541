"""What sends tasks, for those that ask for it."""

from __future__ import annotations

from dataclasses import dataclass

from services.monitor.sending.many_retries import ManyRetries
from services.monitor.sending.retries import Retries
from services.monitor.sending.runs import Runs


@dataclass(frozen=True)
class Sending:
    """`retries`: of tasks that have ended; `many`: of all that match; `runs`: of tasks by name."""

    retries: Retries
    many: ManyRetries
    runs: Runs
