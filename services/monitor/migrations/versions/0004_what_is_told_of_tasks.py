"""Tasks know the type and the message of their exception, what revoked them, their custom state, and that
they have ended without a word.

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
            ADD COLUMN termination_signal text,
            ADD COLUMN vanished_at timestamptz,
            ADD COLUMN custom_state text,
            ADD COLUMN custom_at timestamptz,
            -- The expression of a generated column can't be changed before PostgreSQL 17. Its index goes too.
            DROP COLUMN state;
        ALTER TABLE celery_task_results_ext ADD COLUMN
            -- services.monitor.tasks.tasks.state_of, in SQL; a test keeps them the same.
            state text NOT NULL GENERATED ALWAYS AS (
                CASE
                    WHEN coalesce(
                        greatest(received_at, started_at)
                            <= greatest(succeeded_at, failed_at, revoked_at, rejected_at),
                        greatest(succeeded_at, failed_at, revoked_at, rejected_at) IS NOT NULL
                    ) THEN CASE greatest(succeeded_at, failed_at, revoked_at, rejected_at)
                        WHEN succeeded_at THEN 'SUCCESS'
                        WHEN failed_at THEN 'FAILURE'
                        WHEN revoked_at THEN 'REVOKED'
                        ELSE 'REJECTED'
                    END
                    WHEN coalesce(
                        vanished_at >= greatest(received_at, started_at, retried_at),
                        vanished_at IS NOT NULL
                    ) THEN 'ENDED'
                    WHEN coalesce(retried_at >= greatest(received_at, started_at), retried_at IS NOT NULL)
                        AND (
                            greatest(succeeded_at, failed_at, revoked_at, rejected_at) IS NULL
                            OR started_at > greatest(succeeded_at, failed_at, revoked_at, rejected_at)
                        )
                        THEN 'RETRY'
                    WHEN coalesce(started_at >= received_at, started_at IS NOT NULL) THEN 'STARTED'
                    WHEN received_at IS NOT NULL THEN 'RECEIVED'
                    WHEN custom_at IS NOT NULL THEN 'STARTED'
                    ELSE 'PENDING'
                END
            ) STORED;
        CREATE INDEX celery_task_results_ext_state ON celery_task_results_ext (state, heard_at DESC, id DESC);
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
