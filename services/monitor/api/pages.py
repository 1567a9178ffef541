"""Pages of lists that are in memory, in the order of their names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from services.kernel.pages import decode_last, encode_last, next_page_token, page_size

Entry = TypeVar("Entry")


class AsksForPage(Protocol):
    """The request of a list."""

    @property
    def page_size(self) -> int: ...

    @property
    def page_token(self) -> str: ...


def page_by_name(
    request: AsksForPage,
    entries: Sequence[Entry],
    name_of: Callable[[Entry], str],
) -> tuple[Sequence[Entry], str]:
    """Returns the entries of the page that is asked for, and the token of the page after it.

    `entries` are in the order of their names. Raises `Invalid`.
    """
    size, after = page_size(request.page_size), decode_last(request.page_token)
    found = [entry for entry in entries if not after or name_of(entry) > after][: size + 1]
    return found[:size], next_page_token(found, size, lambda last: encode_last(name_of(last)))
