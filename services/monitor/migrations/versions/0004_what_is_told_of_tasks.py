"""Tasks know the type and the message of their exception, and what revoked them.

Rows that are there already get type and message from the words that they have. The version before writes
rows without all these, and leaves them as they are in those that it merges.
"""

from services.kernel.migrations import run_script

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    run_script(
        r"""
        ALTER TABLE celery_task_results_ext
            ADD COLUMN exception_type text,
            ADD COLUMN exception_message text,
            ADD COLUMN revocation text,
            ADD COLUMN termination_signal text;
        UPDATE celery_task_results_ext SET
            exception_type = coalesce(
                substring(exception from '^(?:[\w<>]+\.)*([[:alpha:]_]\w*)(?:\(|: ?|\n|$)'), ''
            ),
            exception_message = CASE
                WHEN exception ~ '^[\w.]+\(''[^''\\]*''(,|\)|,\))$'
                    THEN substring(exception from '^[\w.]+\(''([^''\\]*)')
                WHEN exception ~ '^[\w.]+\(' THEN regexp_replace(exception, '^[\w.]+\(|,?\)$', '', 'g')
                ELSE regexp_replace(exception, '^[\w.<>]+(: ?|\n|$)', '')
            END
        WHERE exception IS NOT NULL;
        CREATE INDEX celery_task_results_ext_exception
            ON celery_task_results_ext (exception_type, state, heard_at DESC, id DESC)
            WHERE exception_type IS NOT NULL;
        """
    )
