"""Pages of a list: sizes within bounds, and tokens that only we need to read (AIP-158)."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, TypeVar

import orjson

from services.kernel.errors import FieldFault, Invalid

Entry = TypeVar("Entry")
# In a list by time: the moment of an entry, and its id among those of the same moment.
Place: TypeAlias = tuple[dt.datetime, str]


def page_size(requested: int, default: int = 50, most: int = 1000) -> int:
    """The number of entries to answer with: unset (0) gives the default, more than `most` gives `most`."""
    if requested < 0:
        raise Invalid([FieldFault("page_size", f"is {requested}, it can't be negative", str(default))])
    return min(requested or default, most)


def next_page_token(found: Sequence[Entry], size: int, token_after: Callable[[Entry], str]) -> str:
    """The token of the page that follows the first `size` of what was found; empty when there is none.

    Whoever lists looks for one entry more than the page has, and so knows. `token_after`: the token of a page
    that begins after an entry.
    """
    return token_after(found[size - 1]) if len(found) > size else ""


def encode_page_token(position: dict[str, Any]) -> str:
    """The position (JSON values) where the next page begins, as an opaque token."""
    return base64.urlsafe_b64encode(orjson.dumps(position)).rstrip(b"=").decode()


def decode_page_token(token: str) -> dict[str, Any]:
    """The position in a token that `encode_page_token` made; empty for the first page."""
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
    """Where the next page of a list by time begins; None for the first page."""
    if not token:
        return None
    position = decode_page_token(token)
    at, identity = position.get("at"), position.get("id")
    if not isinstance(at, str) or not isinstance(identity, str) or not _is_text(identity):
        raise invalid_page_token()
    try:
        moment = dt.datetime.fromisoformat(at)
        in_utc = moment.astimezone(dt.UTC)
    except (ValueError, OverflowError) as error:
        raise invalid_page_token() from error
    if moment.tzinfo is None:
        raise invalid_page_token()
    return in_utc, identity


def encode_last(name: str) -> str:
    return encode_page_token({"after": name})


def decode_last(token: str) -> str:
    """The name after which the next page of a list by name begins; empty for the first page."""
    if not token:
        return ""
    last = decode_page_token(token).get("after")
    if not _is_text(last):
        raise invalid_page_token()
    return str(last)


def encode_before(number: int) -> str:
    return encode_page_token({"before": number})


def decode_before(token: str) -> int | None:
    """The number before which the next page of a list, highest first, begins; None for the first page."""
    if not token:
        return None
    number = decode_page_token(token).get("before")
    if not isinstance(number, int) or not 0 <= number < 2**63:
        raise invalid_page_token()
    return number


def _is_text(value: Any) -> bool:
    """PostgreSQL's text has no NUL."""
    return isinstance(value, str) and "\0" not in value


def invalid_page_token() -> Invalid:
    """Also for stores, when a token's content is not what they wrote."""
    fault = "is not a token that this list gave"
    return Invalid([FieldFault("page_token", fault, "the next_page_token of the last answer, or empty")])
