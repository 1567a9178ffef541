"""Tasks know the id of the request that had them sent, for the link to their log lines.

Rows that there are already, and those that the version before writes, have NULL.
"""

from services.kernel.migrations import run_script

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    run_script("ALTER TABLE celery_task_results_ext ADD COLUMN request_id text")
