"""The attempts of a task before its newest one.

A row of a task tells of one attempt: the newest. A task that is tried again, or whose message is delivered
again, has more of them, and those are kept beside it, each under the time at which a worker received it. Most
tasks have none.

What is told depends a little on the order of events, unlike the state: Celery's task-retried does not say
which attempt it ends, and with a short countdown the next attempt may be received before. Then it ends the
attempt that is open and of the same worker.
"""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import orjson

from services.monitor.tasks.names import WorkerName
from services.monitor.tasks.values import shortened

# The newest of them are kept.
MOST = 20
MOST_MESSAGE = 300
# About how many characters one takes, for the bound of what waits to be written.
CHARACTERS = 500


class AttemptEnd(enum.StrEnum):
    """How an attempt ended. LEFT: with no word of an end, and the task was received again."""

    RETRIED = "retried"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    REVOKED = "revoked"
    REJECTED = "rejected"
    LEFT = "left"


# As it is written: whole microseconds since 1970 (0: not heard), names, and what failed.
Kept: TypeAlias = dict[str, Any]
# By the time at which each was received.
Attempts: TypeAlias = dict[int, Kept]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt. Empty texts and None: no event told it."""

    retries: int
    queue: str
    worker: WorkerName | None
    received_at: dt.datetime
    started_at: dt.datetime | None
    ended_at: dt.datetime | None
    end: AttemptEnd
    exception_type: str = ""
    exception_message: str = ""


def keep(attempts: Attempts | None, received: int, attempt: Kept) -> Attempts:
    """Returns the attempts with this one; the newest `MOST` of them."""
    attempts = {} if attempts is None else attempts
    attempts[received] = attempt
    if len(attempts) > MOST:
        del attempts[min(attempts)]
    return attempts


def is_open(attempt: Kept) -> bool:
    return bool(attempt["end"] == AttemptEnd.LEFT)


def open_of(attempts: Attempts | None, worker: str | None, pid: int | None, retries: int) -> int:
    """Returns when the worker received an attempt that is still open; 0 if there is none.

    `retries`: of the newest attempt. One of as many retries was delivered again, and has no end of its own.
    """
    for received, attempt in (attempts or {}).items():
        ours = attempt["worker"] == worker and attempt["pid"] == pid and attempt["retries"] < retries
        if ours and is_open(attempt):
            return received
    return 0


def written(attempts: Attempts | None) -> str | None:
    """Returns them as they are stored: a JSON object, under microseconds of sixteen digits."""
    if not attempts:
        return None
    return orjson.dumps({f"{received:016}": attempt for received, attempt in attempts.items()}).decode()


def read(stored: Mapping[str, Kept] | None) -> tuple[Attempt, ...]:
    """Returns the stored attempts, the oldest first."""
    return tuple(_attempt_of(int(received), each) for received, each in sorted((stored or {}).items()))


def with_exception(end: AttemptEnd, exception_type: str | None, message: str | None) -> Kept:
    return {
        "end": end.value,
        "exception": exception_type or "",
        "message": shortened(message or "", MOST_MESSAGE),
    }


def _attempt_of(received: int, kept: Kept) -> Attempt:
    worker = WorkerName(kept["worker"], kept["pid"]) if kept["worker"] else None
    return Attempt(
        kept["retries"],
        kept["queue"] or "",
        worker,
        _moment(received),
        _moment(kept["started"]) if kept["started"] else None,
        _moment(kept["ended"]) if kept["ended"] else None,
        AttemptEnd(kept["end"]),
        kept["exception"],
        kept["message"],
    )


def _moment(microseconds: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(microseconds / 1e6, dt.UTC)
