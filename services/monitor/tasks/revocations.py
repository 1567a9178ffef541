"""What a task-revoked event says of why the task will not be run, or not to its end.

Celery sends `terminated`, `signum` and `expired`. The signal is a number or a text, and may be negative: that
depends on which part of the worker saw the end of the process (celery/worker/request.py).
"""

from __future__ import annotations

import enum
import re
import signal
from collections.abc import Mapping
from typing import Any, NamedTuple

_NUMBER = re.compile(r"-?([0-9]{1,3})")
_NAME = re.compile(r"SIG[A-Z0-9+-]{1,12}")


class Revocation(enum.StrEnum):
    """celeriac.monitor.v1.Revocation has the meaning of each."""

    EXPIRED = "EXPIRED"
    REVOKED = "REVOKED"
    TERMINATED = "TERMINATED"


class RevocationTold(NamedTuple):
    """`how` is None if the event does not tell it. `signal`: as in "SIGTERM"; empty if none is known."""

    how: Revocation | None
    signal: str


def revocation_in(event: Mapping[str, Any]) -> RevocationTold:
    terminated, expired = event.get("terminated"), event.get("expired")
    if terminated is True:
        return RevocationTold(Revocation.TERMINATED, _signal_in(event.get("signum")))
    if expired is True:
        return RevocationTold(Revocation.EXPIRED, "")
    if terminated is False and expired is False:
        return RevocationTold(Revocation.REVOKED, "")
    return RevocationTold(None, "")


def _signal_in(signum: object) -> str:
    """Returns "SIGKILL" for 9, "9", "-9" and "SIGKILL", and "40" for a signal without a name."""
    words = str(signum) if type(signum) is int or type(signum) is str else ""
    number = _NUMBER.fullmatch(words)
    if number is None:
        return words if _NAME.fullmatch(words) else ""
    found = int(number[1])
    try:
        return signal.Signals(found).name
    except ValueError:
        return str(found) if found else ""
