"""The SQL of arguments that are kept encrypted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import orjson

from services.kernel.database import Connection

# Of two rows of a task the newest comes last.
SEALED = """
    SELECT id, sealed_arguments FROM celery_task_results_ext
    WHERE id = ANY($1::text[]) ORDER BY updated_at
"""


async def sealed_of(connection: Connection, task_ids: Sequence[str]) -> Mapping[str, Mapping[str, str]]:
    """Returns the encrypted arguments of those of the tasks that have them."""
    rows = await connection.fetch(SEALED, task_ids)
    newest = {row["id"]: row["sealed_arguments"] for row in rows}
    return {task_id: orjson.loads(sealed) for task_id, sealed in newest.items() if sealed}
