"""What a rebuild of vectors embeds, and the keys of its chunks, as domain objects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

REBUILD = "rebuild_chat_vectors"


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

    def work(self, model: str) -> str:
        """Returns the same text for rebuilds that would do the same. Migration 0004 writes it, too."""
        return f"{model} {self.user_role} {self.min_length} {str(self.force_rebuild).lower()}"

    def metadata(self, model: str) -> Mapping[str, Any]:
        """Returns what the operation tells of the rebuild."""
        return {
            "force_rebuild": self.force_rebuild,
            "role": self.user_role,
            "min_length": self.min_length,
            "model": f"models/{model}",
        }
