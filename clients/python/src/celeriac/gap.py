"""What a watch yields where events are missing."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Gap:
    """Events were left out here, and are not sent later: list what you need to know its present state.

    `count` says how many; None if nobody knows, since what came after the cursor is no longer kept.
    """

    count: int | None
