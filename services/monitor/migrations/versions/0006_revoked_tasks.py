"""Revocations are kept, and told to workers that come.

The version before neither reads nor writes them.
"""

from services.kernel.grants import grant
from services.kernel.migrations import run_script

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    run_script(
        """
        CREATE TABLE celery_revoked_tasks (
            task_id text PRIMARY KEY,
            terminate boolean NOT NULL,
            signal text NOT NULL,
            revoked_at timestamptz NOT NULL,
            expires_at timestamptz NOT NULL
        )
        """
    )
    grant("monitor", "celery_revoked_tasks", "SELECT, INSERT, UPDATE, DELETE")
