"""Lists that fetch their pages by themselves, as they are read."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, Generic, NamedTuple, TypeVar

Item = TypeVar("Item")


class Page(NamedTuple):
    """One page, and the token of the next: "" on the last."""

    items: list[Any]
    next_page_token: str
    # The whole answer, for what else it says.
    answer: Any


class Listing(Generic[Item]):
    """What a list method returns. Nothing is asked for before it is read; each reading begins anew.

    for schedule in client.schedules.list(labels="team=rvt"): ...
    """

    def __init__(self, fetch: Callable[[str], Page], limit: int | None) -> None:
        self._fetch = fetch
        self._limit = limit

    def pages(self) -> Iterator[Page]:
        """Yields page after page, without regard to `limit`."""
        token = ""
        while True:
            page = self._fetch(token)
            yield page
            token = page.next_page_token
            if not token:
                return

    def __iter__(self) -> Iterator[Item]:
        left = self._limit
        for page in self.pages():
            items = page.items if left is None else page.items[:left]
            yield from items
            if left is not None:
                left -= len(items)
                if left <= 0:
                    return

    def all(self) -> list[Item]:
        """Returns all items."""
        return list(self)

    def first(self) -> Item | None:
        """Returns the first item; None if there is none."""
        return next(iter(self), None)


class AsyncListing(Generic[Item]):
    """The same for asyncio: `async for`, `await ….all()`."""

    def __init__(self, fetch: Callable[[str], Awaitable[Page]], limit: int | None) -> None:
        self._fetch = fetch
        self._limit = limit

    async def pages(self) -> AsyncIterator[Page]:
        """Yields page after page, without regard to `limit`."""
        token = ""
        while True:
            page = await self._fetch(token)
            yield page
            token = page.next_page_token
            if not token:
                return

    async def __aiter__(self) -> AsyncIterator[Item]:
        left = self._limit
        async for page in self.pages():
            items = page.items if left is None else page.items[:left]
            for item in items:
                yield item
            if left is not None:
                left -= len(items)
                if left <= 0:
                    return

    async def all(self) -> list[Item]:
        """Returns all items."""
        return [item async for item in self]

    async def first(self) -> Item | None:
        """Returns the first item; None if there is none."""
        async for item in self:
            return item
        return None
