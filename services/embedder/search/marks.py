"""What a search index has of each vector besides the vector itself, 33 bytes, and which pass a filter."""

from __future__ import annotations

import datetime as dt
import hashlib

import numpy as np
from numpy.typing import NDArray

from services.embedder.messages.messages import MessageFilter, Role

# write, txid: the number and the transaction of the vector's write. Together they name a write even after
# the database was restored from a backup, which draws the same numbers again.
# conversation: a digest of its id. created: microseconds since 1970.
MARK = np.dtype(
    [("write", "<i8"), ("txid", "<i8"), ("role", "u1"), ("conversation", "<u8"), ("created", "<i8")]
)
NUMBERS = {Role.USER: 0, Role.ASSISTANT: 1}
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
MICROSECOND = dt.timedelta(microseconds=1)

Marks = np.ndarray[tuple[int], np.dtype[np.void]]
Chosen = NDArray[np.bool_]


def mark(
    write: int, txid: int, role: str, conversation: str, created: dt.datetime
) -> tuple[int, int, int, int, int]:
    """Returns a row of an array of MARK."""
    return write, txid, NUMBERS[Role(role)], digest(conversation), _microseconds(created)


def digest(conversation: str) -> int:
    """Returns 64 bits. Two conversations with one digest would be told apart by the table, which confirms."""
    return int.from_bytes(hashlib.blake2b(conversation.encode(), digest_size=8).digest(), "little")


def passing(marks: Marks, wanted: MessageFilter) -> Chosen | None:
    """Returns which marks pass the filter; None if it lets all pass."""
    if wanted == MessageFilter():
        return None
    chosen = np.ones(len(marks), dtype=bool)
    if wanted.roles:
        chosen &= np.isin(marks["role"], [NUMBERS[role] for role in wanted.roles])
    if wanted.conversation:
        chosen &= marks["conversation"] == np.uint64(digest(wanted.conversation))
    if wanted.start is not None:
        chosen &= marks["created"] >= _microseconds(wanted.start)
    if wanted.end is not None:
        chosen &= marks["created"] < _microseconds(wanted.end)
    return chosen


def _microseconds(moment: dt.datetime) -> int:
    return (moment - EPOCH) // MICROSECOND
