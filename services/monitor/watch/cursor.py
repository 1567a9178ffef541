"""A reader's position in the stream of changes: how many changes there were before it, since the start.

Changes are not kept, so nothing can be sent again. A cursor tells whether anything has come since: if not,
the reader that has it missed nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from services.kernel.errors import FailedPrecondition, FieldFault, Invalid
from services.kernel.pages import decode_page_token, encode_page_token


@dataclass(frozen=True)
class Cursor:
    """`origin`: the process of the monitor that counted. All changes up to `position` were sent."""

    origin: str
    position: int

    def encode(self) -> str:
        return encode_page_token({"origin": self.origin, "position": self.position})


def decode_cursor(text: str) -> Cursor | None:
    """Returns None for an empty text. Raises `Invalid` for a text that no message could have contained."""
    if not text:
        return None
    fault = FieldFault("cursor", "is not one that a message had", "the cursor of the last message, or empty")
    try:
        found = decode_page_token(text)
    except Invalid as error:
        raise Invalid([fault]) from error
    origin, position = found.get("origin"), found.get("position")
    if not isinstance(origin, str) or type(position) is not int:
        raise Invalid([fault])
    return Cursor(origin, position)


def expired() -> FailedPrecondition:
    return FailedPrecondition(
        "CURSOR_EXPIRED",
        "what came after the cursor is not kept; watch without a cursor, and when the first message has come,"
        " list tasks and workers",
    )
