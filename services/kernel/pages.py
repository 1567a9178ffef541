"""Pagination of lists (AIP-158): page sizes within bounds, and opaque page tokens."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, TypeVar

import orjson

from services.kernel.errors import FieldFault, Invalid

Entry = TypeVar("Entry")
# The database's infinite moments, which have no time zone.
INFINITE = (dt.datetime.min, dt.datetime.max)  # noqa: DTZ901
# A position in a list ordered by time: an entry's time, and its id, which orders entries of the same time.
Place: TypeAlias = tuple[dt.datetime, str]


def page_size(requested: int, default: int = 50, most: int = 1000) -> int:
    """Returns the size of a page: `default` for 0 (unset), at most `most`. Raises `Invalid` if negative."""
    if requested < 0:
        raise Invalid([FieldFault("page_size", f"is {requested}, it can't be negative", str(default))])
    return min(requested or default, most)


def next_page_token(found: Sequence[Entry], size: int, token_after: Callable[[Entry], str]) -> str:
    """Returns the token of the page that follows the first `size` entries found; empty when there is none.

    The caller must have looked for one entry more than a page has: it shows that another page follows.
    `token_after` returns the token of the page that begins after an entry.
    """
    return token_after(found[size - 1]) if len(found) > size else ""


def encode_page_token(position: dict[str, Any]) -> str:
    """Returns an opaque token of the position (JSON values) at which the next page begins."""
    return base64.urlsafe_b64encode(orjson.dumps(position)).rstrip(b"=").decode()


def decode_page_token(token: str) -> dict[str, Any]:
    """Returns the position in a token of `encode_page_token`; {} for the first page. Raises `Invalid`."""
    if not token:
        return {}
    try:
        position = orjson.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    except (binascii.Error, ValueError) as error:
        raise invalid_page_token() from error
    if not isinstance(position, dict):
        raise invalid_page_token()
    return position


def encode_place(place: Place) -> str:
    return encode_page_token({"at": place[0].isoformat(), "id": place[1]})


def decode_place(token: str) -> Place | None:
    """Returns where the next page of a list by time begins; None for the first page. Raises `Invalid`."""
    if not token:
        return None
    position = decode_page_token(token)
    at, identity = position.get("at"), position.get("id")
    if not isinstance(at, str) or not isinstance(identity, str) or not _is_text(identity):
        raise invalid_page_token()
    try:
        moment = dt.datetime.fromisoformat(at)
        if moment in INFINITE:
            return moment, identity
        in_utc = moment.astimezone(dt.UTC)
    except (ValueError, OverflowError) as error:
        raise invalid_page_token() from error
    if moment.tzinfo is None:
        raise invalid_page_token()
    return in_utc, identity


def encode_last(name: str) -> str:
    return encode_page_token({"after": name})


def decode_last(token: str) -> str:
    """Returns the name after which the next page begins; empty for the first page. Raises `Invalid`."""
    if not token:
        return ""
    last = decode_page_token(token).get("after")
    if not _is_text(last):
        raise invalid_page_token()
    return str(last)


def encode_before(number: int) -> str:
    return encode_page_token({"before": number})


def decode_before(token: str) -> int | None:
    """Returns the number below which the next page of a list, highest first, begins; None for the first page.

    Raises `Invalid`.
    """
    if not token:
        return None
    number = decode_page_token(token).get("before")
    if not isinstance(number, int) or not 0 <= number < 2**63:
        raise invalid_page_token()
    return number


def is_row_number(text: str) -> bool:
    """Whether the text is a number that a row may have: a bigint."""
    # The length first: of thousands of digits Python makes no number.
    return len(text) <= len(str(2**63)) and text.isascii() and text.isdecimal() and int(text) < 2**63


def _is_text(value: Any) -> bool:
    """Whether the value is a text that PostgreSQL can store: one without NUL."""
    return isinstance(value, str) and "\0" not in value


def invalid_page_token() -> Invalid:
    """Returns the error for a wrong page token. Stores raise it for content that they did not write."""
    fault = "is not a token that this list gave"
    return Invalid([FieldFault("page_token", fault, "the next_page_token of the last answer, or empty")])
