"""Operations, the keys of their chunks, and what a rebuild embeds, as domain objects."""

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
    """An operation, with its progress in messages, counted from the stored chunks."""

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
        """Messages per second since the start."""
        seconds = ((self.ended_at or self.counted_at) - self.created_at).total_seconds()
        return self.done / seconds if seconds > 0 else 0.0


class ChunkKey(NamedTuple):
    """Identifies a chunk. The broker carries only this, not the texts."""

    operation_id: str
    number: int


@dataclass(frozen=True)
class Rebuild:
    """Which messages a rebuild embeds. `min_length` is in characters.

    With `force_rebuild`, it also embeds messages that have a vector, or an error, of the model already.
    """

    force_rebuild: bool = False
    user_role: str = "user"
    min_length: int = 5
