"""Messages as the domain knows them."""

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
    """A message of a conversation; its id is the client's."""

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
    """Which messages; empty and None match any. Times are half-open."""

    role: Role | None = None
    conversation: str = ""
    start: dt.datetime | None = None
    end: dt.datetime | None = None


@dataclass(frozen=True)
class Ingested:
    """What became of messages that were taken in."""

    created: int = 0
    changed: int = 0
    unchanged: int = 0

    def __add__(self, other: Ingested) -> Ingested:
        return Ingested(
            self.created + other.created,
            self.changed + other.changed,
            self.unchanged + other.unchanged,
        )
