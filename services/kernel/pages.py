"""Pages of a list: sizes within bounds, and tokens that only we need to read (AIP-158)."""

from __future__ import annotations

import base64
import binascii
from typing import Any

import orjson

from services.kernel.errors import FieldFault, Invalid


def page_size(requested: int, default: int = 50, most: int = 1000) -> int:
    """The number of entries to answer with: unset (0) gives the default, more than `most` gives `most`."""
    if requested < 0:
        raise Invalid([FieldFault("page_size", f"is {requested}, it can't be negative", str(default))])
    return min(requested or default, most)


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


def invalid_page_token() -> Invalid:
    """Also for stores, when a token's content is not what they wrote."""
    fault = "is not a token that this list gave"
    return Invalid([FieldFault("page_token", fault, "the next_page_token of the last answer, or empty")])
