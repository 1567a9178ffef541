"""Each reign of a lease's holder has a number.

The version before takes leases without one; nothing of the scheduler's is fenced by it.
"""

from services.kernel.migrations import run_script

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    run_script("ALTER TABLE celery_schedule_leases ADD COLUMN epoch bigint NOT NULL DEFAULT 0")
