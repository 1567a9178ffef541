"""Long work as the domain knows it."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

REBUILD = "rebuild_chat_vectors"


class OperationState(Enum):
    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"


@dataclass(frozen=True)
class Operation:
    """Long work, with its progress counted from what is stored."""

    id: str
    kind: str
    state: OperationState
    total: int
    done: int
    failed: int
    created_at: dt.datetime
    ended_at: dt.datetime | None
    # The database's time at which the counts were taken.
    counted_at: dt.datetime

    @property
    def rate(self) -> float:
        """Units a second since the start."""
        seconds = ((self.ended_at or self.counted_at) - self.created_at).total_seconds()
        return self.done / seconds if seconds > 0 else 0.0


class ChunkKey(NamedTuple):
    """What travels through the broker of a chunk."""

    operation_id: str
    number: int


@dataclass(frozen=True)
class Rebuild:
    """Which messages are to be embedded."""

    force_rebuild: bool = False
    user_role: str = "user"
    min_length: int = 5
