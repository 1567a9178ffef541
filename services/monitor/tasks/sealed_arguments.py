"""Arguments with secrets, kept encrypted, so that a retry can be sent with them.

They are encrypted at once when the secrets in them are replaced; in clear they are nowhere. Off unless there
is a file of keys (services/kernel/sealing.py, docs/decisions/monitor-sealed-arguments.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
import structlog

from services.kernel.errors import FailedPrecondition
from services.kernel.logged_errors import for_log
from services.kernel.sealing import KeyRing, WrongKeyFile
from services.monitor.tasks.values import SealedText

log = structlog.get_logger(__name__)

NO_KEYS = (
    "name a key file by CELERIAC_MONITOR_ARGUMENT_KEYS, and make its first key by: python -m services.monitor"
    " new-key"
)
# Characters of arguments. Celery cuts what it shows of them at about 1,000 each.
MOST = 8_000
# What is cut can't be sent again.
CUT = ("...", "…")


class ArgumentSeals:
    """Encrypts and decrypts by the keys of a file, which may come or change at any time."""

    def __init__(self, keys: KeyRing) -> None:
        self._keys = keys
        self._fault = ""

    def seal(self, task_id: Any, args: Any, kwargs: Any) -> SealedText | None:
        """Returns the arguments, as events show them, encrypted for the task; None if they can't be kept."""
        if not (type(task_id) is type(args) is type(kwargs) is str):
            return None
        if len(args) + len(kwargs) > MOST or any(mark in text for text in (args, kwargs) for mark in CUT):
            return None
        try:
            sealed = self._keys.seal(orjson.dumps([args, kwargs]).decode(), _belongs_to(task_id))
        except (FailedPrecondition, WrongKeyFile) as error:
            self._tell(for_log(error))
            return None
        self._tell("")
        return SealedText(orjson.dumps(sealed).decode())

    def open(self, task_id: str, sealed: Mapping[str, str]) -> tuple[str, str] | None:
        """Returns the arguments as events showed them; None if a key is missing, or if it was altered."""
        try:
            args, kwargs = orjson.loads(self._keys.open(sealed, _belongs_to(task_id)))
        except (FailedPrecondition, WrongKeyFile) as error:
            log.warning("arguments.not_opened", task_id=task_id, error=for_log(error))
            return None
        return args, kwargs

    def _tell(self, fault: str) -> None:
        """Logs a fault when it begins, not of each task."""
        if fault and fault != self._fault:
            log.warning("arguments.not_sealed", error=fault)
        self._fault = fault


def _belongs_to(task_id: str) -> str:
    return f"arguments of the task {task_id}"
