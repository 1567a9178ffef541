"""What an event says of the exception that ended a try."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from services.monitor.tasks.values import text_in

# The repr of billiard's wrapper, in which the parent process hands over the end of a process that it killed
# or lost. It says nothing of the exception that is wrapped.
WRAPPER = "ExceptionWithTraceback()"
TRACEBACK = "Traceback (most recent call last):\n"


def exception_in(event: Mapping[str, Any], most: int) -> str | None:
    """Returns the exception, cut at `most` characters: its repr, or where that says nothing, the words that
    end the traceback, as in "billiard.exceptions.WorkerLostError: Worker exited prematurely: signal 9"."""
    told = text_in(event, "exception", most)
    traceback = event.get("traceback")
    if told != WRAPPER or not isinstance(traceback, str):
        return told
    return _ending(traceback)[:most] or told


def _ending(traceback: str) -> str:
    """Returns what follows the lines of the last traceback, which are indented; empty without any."""
    _, found, frames = traceback.rpartition(TRACEBACK)
    lines = frames.splitlines() if found else []
    first = next((number for number, line in enumerate(lines) if line and not line[0].isspace()), len(lines))
    return "\n".join(lines[first:]).strip()
