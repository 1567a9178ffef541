"""How many operations there are, by owner, kind and state."""

from __future__ import annotations

from collections.abc import Mapping

from services.kernel.database import Connection
from services.kernel.operations import LOST_SECONDS

# The states as they are shown (services.kernel.stored_operations).
COUNTS = f"""
    SELECT owner, kind,
        CASE
            WHEN state <> 'running' THEN state
            WHEN owner_seen_at < clock_timestamp() - interval '{LOST_SECONDS} s' THEN 'owner_lost'
            WHEN cancel_requested_at IS NOT NULL THEN 'cancelling'
            ELSE state
        END AS shown,
        count(*)
    FROM celery_operations
    GROUP BY owner, kind, shown
    ORDER BY owner, kind, shown
    LIMIT 500
"""


async def operation_counts(connection: Connection) -> Mapping[tuple[str, str, str], int]:
    """Returns the number of operations by (owner, kind, state)."""
    return {(owner, kind, shown): count for owner, kind, shown, count in await connection.fetch(COUNTS)}
