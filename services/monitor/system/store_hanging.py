"""The SQL of tasks that hang: that wait although their time has come."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from services.kernel.database import Connection

# Tasks of each state that are looked at, the oldest ones of a week. What is more than a day late is history.
MOST_TASKS = 5_000
LATE_SECONDS = 300
HANGING = f"""
    WITH oldest AS (
        (SELECT * FROM celery_task_results_ext
            WHERE state = 'PENDING' AND heard_at > now() - interval '7 days'
            ORDER BY heard_at, id LIMIT {MOST_TASKS})
        UNION ALL
        (SELECT * FROM celery_task_results_ext
            WHERE state = 'RECEIVED' AND heard_at > now() - interval '7 days'
            ORDER BY heard_at, id LIMIT {MOST_TASKS})
    ), late AS (
        SELECT state, task, queue, run, eta, coalesce(eta, sent_at) AS due FROM oldest
        WHERE coalesce(eta, sent_at) BETWEEN now() - interval '1 day' AND now() - $1 * interval '1 second'
            AND (expires IS NULL OR expires > now())
            AND NOT EXISTS (SELECT FROM unnest($2::text[], $3::timestamptz[]) AS emptied (name, at)
                WHERE state = 'PENDING' AND name = queue AND coalesce(sent_at, heard_at) < at)
    )
    SELECT
        count(*) FILTER (WHERE run <> '' AND state = 'PENDING') AS runs,
        (array_agg(run ORDER BY due) FILTER (WHERE run <> '' AND state = 'PENDING'))[1] AS oldest_run,
        (array_agg(queue ORDER BY due) FILTER (WHERE run <> '' AND state = 'PENDING'))[1] AS queue_of_run,
        count(*) FILTER (WHERE eta IS NOT NULL AND run IS NULL) AS etas,
        (array_agg(coalesce(task, '?') ORDER BY due)
            FILTER (WHERE eta IS NOT NULL AND run IS NULL))[1] AS oldest_eta
    FROM late
"""


async def hanging_tasks(connection: Connection, emptied: Mapping[str, dt.datetime]) -> Any:
    """Returns the counts of late tasks, with the name of the oldest.

    `emptied`: when queues were purged whole; what no worker had received of them by then is gone.
    """
    return await connection.fetchrow(HANGING, LATE_SECONDS, list(emptied), list(emptied.values()))
