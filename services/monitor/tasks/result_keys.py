"""Under which keys Celery's result backend stores results in Redis or Valkey (celery/backends/base.py).

It keeps one JSON object for each task. Where the application serialises results otherwise (pickle), nothing
is read: to read that may run code.
"""

from __future__ import annotations

KEY, GROUP_KEY = "celery-task-meta-", "celery-taskset-meta-"
# A prefix that ends in one of these is used as it is (celery.backends.base.BaseKeyValueStoreBackend).
ENDS_OF_PREFIX = ":_-."


def key_before_id(key_prefix: str) -> str:
    """Returns what stands before a task's id in its key. `key_prefix`: the backend's `global_keyprefix`."""
    return _ended(key_prefix) + KEY


def key_before_group(key_prefix: str) -> str:
    """Returns what stands before a group's id in the key of its members."""
    return _ended(key_prefix) + GROUP_KEY


def _ended(key_prefix: str) -> str:
    return f"{key_prefix}_" if key_prefix and key_prefix[-1] not in ENDS_OF_PREFIX else key_prefix
