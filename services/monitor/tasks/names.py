"""Names that Celery applications choose: ids of tasks, names of queues, hostnames of workers.

Each may be any text of up to `MOST_BYTES` bytes, which an index of PostgreSQL can hold two of in one entry.
"""

from __future__ import annotations

from typing import NamedTuple

MOST_BYTES = 1024
# A text of this many characters or fewer has at most `MOST_BYTES` bytes in UTF-8.
ALWAYS_FITS = MOST_BYTES // 4


class WorkerName(NamedTuple):
    """A worker: one process under a hostname. `pid` is None where only the hostname is known."""

    hostname: str
    pid: int | None = None

    def __str__(self) -> str:
        """The worker's id in the contract: "celery@host~4711"."""
        return self.hostname if self.pid is None else f"{self.hostname}~{self.pid}"


def fits(name: str) -> bool:
    return len(name) <= ALWAYS_FITS or len(name.encode()) <= MOST_BYTES


def cut(name: str) -> str:
    """Returns the name; one that is too long is cut, and ends in "…"."""
    if fits(name):
        return name
    return name.encode()[: MOST_BYTES - len("…".encode())].decode(errors="ignore") + "…"
