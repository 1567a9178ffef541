"""Workers that were deleted are kept for a while, so that all monitors know.

The version before neither reads nor writes them.
"""

from services.kernel.grants import grant
from services.kernel.migrations import run_script

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    run_script(
        """
        CREATE TABLE celery_deleted_workers (
            hostname text NOT NULL,
            pid bigint NOT NULL,
            deleted_at timestamptz NOT NULL DEFAULT clock_timestamp(),
            PRIMARY KEY (hostname, pid)
        )
        """
    )
    grant("monitor", "celery_deleted_workers", "SELECT, INSERT, UPDATE, DELETE")
