"""What is to be thought of a task after a gap, given what the result backend, workers and the broker tell."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from services.monitor.gaps.held import HeldTask
from services.monitor.gaps.results import StoredEnd


class Verdict(enum.Enum):
    """END: it has ended as the backend tells. HELD: a worker has it. WAITS: it is on the broker. VANISHED: it
    is nowhere, so it has ended, and how is not known. LATER: that is to be looked at again."""

    END = "end"
    HELD = "held"
    WAITS = "waits"
    VANISHED = "vanished"
    LATER = "later"


@dataclass(frozen=True)
class Evidence:
    """What was found of one task.

    begun: when a worker was last heard to receive, start or retry it, in microseconds; 0: never.
    until: the end of the gap, in microseconds.
    everybody: whether all workers have answered and all queues were read.
    again: whether it was found nowhere at the look before, too.
    """

    begun: int
    until: int
    end: StoredEnd | None
    held: HeldTask | None
    waits: bool
    everybody: bool
    again: bool


def verdict_of(found: Evidence) -> Verdict:
    """A stored end that is newer than the last try holds at once, unless its event may still be on the way.

    One that is older may be of an earlier try: it holds if nobody has the task any more. What was found
    nowhere may be on its way from one place to another: so it takes two looks.
    """
    if found.end is not None and found.begun <= found.end.at <= found.until:
        return Verdict.END
    if found.held is not None:
        return Verdict.HELD
    if found.waits:
        return Verdict.WAITS
    if not found.again:
        return Verdict.LATER
    if found.end is not None and found.end.at >= found.begun:
        return Verdict.END
    if not found.everybody:
        return Verdict.LATER
    return Verdict.VANISHED if found.end is None else Verdict.END
