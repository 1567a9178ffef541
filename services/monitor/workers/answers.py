"""What workers answer to `revoke`, as celery/worker/control.py writes it (Celery 5.4 to 5.7).

Without `terminate` a worker puts the id into its memory of revoked tasks, and says only that: "tasks {…}
flagged as revoked". It does not say whether it holds the task. With `terminate` it does the same, then looks
for the task among those that it holds: "terminate: {id}" if it has it, "terminate: tasks unknown" if not.
An exception, as that of a pool that can't kill, is told as {"error": …}; the id stays in the worker's memory.
"""

from __future__ import annotations

import enum
from typing import Any

MOST_MESSAGE = 2_000
TERMINATED = "terminate: "
NOT_HELD = "terminate: tasks unknown"
FLAGGED = "flagged as revoked"


class Outcome(enum.Enum):
    """What a worker made of a command; celeriac.monitor.v1.WorkerOutcome has the meaning of each."""

    DONE = "done"
    FLAGGED = "flagged"
    UNKNOWN_TASK = "unknown task"
    NO_ANSWER = "no answer"
    FAILED = "failed"
    NOT_SENT = "not sent"
    STOPPING = "stopping"


def read_answer(said: Any) -> tuple[Outcome, str]:
    """Returns what a worker's answer means, and its words. An answer in unknown words counts as FAILED."""
    if not isinstance(said, dict) or not isinstance(said.get("ok"), str):
        words = said.get("error", said) if isinstance(said, dict) else said
        return Outcome.FAILED, str(words)[:MOST_MESSAGE]
    words = said["ok"]
    if words == NOT_HELD:
        outcome = Outcome.UNKNOWN_TASK
    elif words.startswith(TERMINATED):
        outcome = Outcome.DONE
    else:
        outcome = Outcome.FLAGGED if words.endswith(FLAGGED) else Outcome.FAILED
    return outcome, words[:MOST_MESSAGE]


def read_done(said: Any) -> tuple[Outcome, str]:
    """The same of an answer to a command that changes a worker: {"ok": …} says that it does so."""
    if isinstance(said, dict) and isinstance(said.get("ok"), str):
        return Outcome.DONE, said["ok"][:MOST_MESSAGE]
    words = said.get("error", said) if isinstance(said, dict) else said
    return Outcome.FAILED, str(words)[:MOST_MESSAGE]
