"""What is left of workers that are gone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Stranded:
    """Tasks of workers that are gone which are not ORPHANED.

    `waiting`: how many have a message on the broker, by the worker's hostname. `undecided`: how many are not
    known yet, and `lacks`: what that waits for.
    """

    waiting: Mapping[str, int] = field(default_factory=dict)
    undecided: int = 0
    lacks: str = ""
