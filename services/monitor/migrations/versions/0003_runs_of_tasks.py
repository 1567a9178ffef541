"""Tasks know the scheduler's run that they belong to.

The version before writes rows without it, and leaves it as it is in those that it merges.
"""

from services.kernel.migrations import run_script

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    run_script("ALTER TABLE celery_task_results_ext ADD COLUMN run text")
