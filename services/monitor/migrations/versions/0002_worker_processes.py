"""A worker is a process: tasks know the process id of their worker beside its hostname.

The version before writes rows without it, and reads the others as before.
"""

from services.kernel.migrations import run_script

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    run_script(
        """
        ALTER TABLE celery_task_results_ext ADD COLUMN worker_pid bigint;
        DROP INDEX celery_task_results_ext_worker;
        CREATE INDEX celery_task_results_ext_worker
            ON celery_task_results_ext (worker, heard_at DESC, id DESC, worker_pid);
        """
    )
