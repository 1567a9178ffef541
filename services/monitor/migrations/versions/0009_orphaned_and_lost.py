"""Tasks that were found nowhere are told apart: ENDED, ORPHANED, LOST; and the lives of the broker's data.

The version before writes no `vanished_as`: what it finds nowhere is ENDED.
"""

from services.kernel.grants import grant
from services.kernel.migrations import run_script

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    run_script(
        """
        ALTER TABLE celery_task_results_ext
            ADD COLUMN vanished_as text,
            -- The expression of a generated column can't be changed before PostgreSQL 17. Its indexes go too.
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
                    ) THEN coalesce(vanished_as, 'ENDED')
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
        CREATE INDEX celery_task_results_ext_exception
            ON celery_task_results_ext (exception_type, state, heard_at DESC, id DESC)
            WHERE exception_type IS NOT NULL;

        -- The lives of the broker's data, each since a start of the server or since all was deleted.
        -- `kept_until`: what was published to the life before, up to then, is in this one. A time before all
        -- others: nothing is; one after all others: all but the last moments. NULL: it is not known.
        -- `saved_until` is the same for the next life.
        CREATE TABLE celery_broker_lives (
            run_id text NOT NULL,
            identity text NOT NULL,
            found_at timestamptz NOT NULL DEFAULT clock_timestamp(),
            kept_until timestamptz,
            saved_until timestamptz NOT NULL,
            PRIMARY KEY (run_id, identity)
        );
        """
    )
    grant("monitor", "celery_broker_lives", "SELECT, INSERT, UPDATE, DELETE")
