"""Chat messages, as domain objects."""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import dataclass
from enum import Enum


class Role(Enum):
    """Who wrote a message."""

    USER = "user"
    ASSISTANT = "assistant"


@dataclass(frozen=True)
class Message:
    """A message of a conversation. The client chooses its id."""

    id: str
    conversation: str
    role: Role
    text: str
    created_at: dt.datetime | None

    @property
    def content_hash(self) -> bytes:
        return hashlib.sha256(self.text.encode()).digest()


@dataclass(frozen=True)
class MessageFilter:
    """Which messages to find. What is empty or None matches any. `start` is included, `end` is not."""

    roles: frozenset[Role] = frozenset()
    conversation: str = ""
    start: dt.datetime | None = None
    end: dt.datetime | None = None


@dataclass(frozen=True)
class Ingested:
    """The number of ingested messages that were created, changed, or unchanged.

    `duplicates`: of those that were left out, since a later one of their request has the same id.
    """

    created: int = 0
    changed: int = 0
    unchanged: int = 0
    duplicates: int = 0

    def __add__(self, other: Ingested) -> Ingested:
        return Ingested(
            self.created + other.created,
            self.changed + other.changed,
            self.unchanged + other.unchanged,
            self.duplicates + other.duplicates,
        )
