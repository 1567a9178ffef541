"""Pauses of queues are kept, and told to workers that come.

The version before neither reads nor writes them.
"""

from services.kernel.grants import grant
from services.kernel.migrations import run_script

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    run_script(
        """
        CREATE TABLE celery_paused_queues (
            queue text PRIMARY KEY,
            paused_at timestamptz NOT NULL,
            subject text NOT NULL,
            reason text NOT NULL
        );
        CREATE TABLE celery_stopped_consumers (
            queue text NOT NULL,
            hostname text NOT NULL,
            pid bigint NOT NULL,
            exchange text NOT NULL,
            exchange_type text NOT NULL,
            routing_key text NOT NULL,
            stopped_at timestamptz NOT NULL,
            PRIMARY KEY (queue, hostname, pid)
        )
        """
    )
    for table in ("celery_paused_queues", "celery_stopped_consumers"):
        grant("monitor", table, "SELECT, INSERT, UPDATE, DELETE")
