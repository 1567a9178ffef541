"""Arguments with secrets are kept encrypted, where there are keys for it.

The version before writes none, and leaves those that are there. They are those of an earlier try then, which
differ only where a task calls itself again with other secrets.
"""

from services.kernel.migrations import run_script

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    run_script("ALTER TABLE celery_task_results_ext ADD COLUMN sealed_arguments jsonb;")
