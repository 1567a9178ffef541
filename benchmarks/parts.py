"""Parts of a benchmark that may be left out: a busy machine loses a row of the table, not all of it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator


class Parts:
    """Runs parts one after the other, and keeps what was missing.

    `slow`: the errors that only say that something took too long. Any other is a fault, and ends the
    benchmark.
    """

    def __init__(self, slow: tuple[type[Exception], ...]) -> None:
        self._slow = slow
        # A sentence for each part that was not measured, in their order.
        self.missing: list[str] = []

    @contextlib.contextmanager
    def part(self, name: str) -> Iterator[None]:
        """What is measured within is left out, and noted, if it was too slow."""
        try:
            yield
        except self._slow as error:
            self.missing.append(f"missing: {name}: {str(error) or type(error).__name__}")
