"""Records are found by the resource that a call answered with: the run of a trigger, for example."""

from services.kernel.migrations import run_script

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    run_script(
        """
        CREATE INDEX celery_audit_logs_result ON celery_audit_logs (resource, index DESC)
            WHERE kind = 'outcome' AND resource <> '';
        """
    )
