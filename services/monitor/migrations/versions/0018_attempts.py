"""A task's attempts before its newest one are kept beside it.

The version before writes none. It leaves those that are there as they are, but for a task of a closed
generation of which it hears again: of that it moves what it knows.
"""

from services.kernel.migrations import run_script

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    run_script("ALTER TABLE celery_task_results_ext ADD COLUMN attempts jsonb;")
