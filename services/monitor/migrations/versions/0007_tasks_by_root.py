"""Tasks are listed by their workflow and by the task that called them.

Most tasks belong to no workflow: they are their own root, have no parent, and are in neither index.
"""

from services.kernel.migrations import run_script

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    run_script(
        """
        CREATE INDEX celery_task_results_ext_root
            ON celery_task_results_ext (root_id, heard_at DESC, id DESC) WHERE root_id <> id;
        CREATE INDEX celery_task_results_ext_parent
            ON celery_task_results_ext (parent_id, heard_at DESC, id DESC) WHERE parent_id IS NOT NULL;
        """
    )
