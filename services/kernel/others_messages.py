"""Keeps our Celery clients from giving messages of other applications to workers a second time.

What workers of a Redis hold unacknowledged is in one index for all applications of its database. Each client
of kombu that waits for messages, also one that only waits for answers to a command, puts those messages back
on their queues that are older than its *own* `visibility_timeout` (kombu/transport/redis.py,
`restore_visible`). An application that lets its tasks run longer than an hour has a longer timeout; a client
of ours with kombu's hour would have such a task run twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

YEAR_SECONDS = 365 * 24 * 3600
# Transport options of a client that leaves it to the workers of each application to put messages back.
LEFT_ALONE: Mapping[str, int] = MappingProxyType({"visibility_timeout": 10 * YEAR_SECONDS})
