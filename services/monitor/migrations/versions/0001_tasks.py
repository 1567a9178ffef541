"""Tasks, as their events tell of them."""

from services.kernel.grants import grant
from services.kernel.migrations import create_outbox, run_script

revision = "0001"
down_revision = None


def upgrade() -> None:
    run_script(
        """
        CREATE TABLE celery_task_results_ext (
            id text PRIMARY KEY,
            task text,
            queue text,
            worker text,
            args text,
            kwargs text,
            retries int,
            result text,
            exception text,
            traceback text,
            runtime double precision,
            eta timestamptz,
            expires timestamptz,
            parent_id text,
            root_id text,
            -- The newest event heard of each kind. A row only ever takes newer ones; its state follows.
            sent_at timestamptz,
            received_at timestamptz,
            started_at timestamptz,
            retried_at timestamptz,
            succeeded_at timestamptz,
            failed_at timestamptz,
            revoked_at timestamptz,
            rejected_at timestamptz,
            -- Of all its events the oldest, the newest, and the newest that a worker made.
            heard_at timestamptz NOT NULL,
            updated_at timestamptz NOT NULL,
            worker_at timestamptz,
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
                    WHEN coalesce(retried_at >= greatest(received_at, started_at), retried_at IS NOT NULL)
                        AND (
                            greatest(succeeded_at, failed_at, revoked_at, rejected_at) IS NULL
                            OR started_at > greatest(succeeded_at, failed_at, revoked_at, rejected_at)
                        )
                        THEN 'RETRY'
                    WHEN coalesce(started_at >= received_at, started_at IS NOT NULL) THEN 'STARTED'
                    WHEN received_at IS NOT NULL THEN 'RECEIVED'
                    ELSE 'PENDING'
                END
            ) STORED
        );
        CREATE INDEX celery_task_results_ext_newest ON celery_task_results_ext (heard_at DESC, id DESC);
        CREATE INDEX celery_task_results_ext_state ON celery_task_results_ext (state, heard_at DESC, id DESC);
        CREATE INDEX celery_task_results_ext_task ON celery_task_results_ext (task, heard_at DESC, id DESC);
        CREATE INDEX celery_task_results_ext_queue ON celery_task_results_ext (queue, heard_at DESC, id DESC);
        CREATE INDEX celery_task_results_ext_worker
            ON celery_task_results_ext (worker, heard_at DESC, id DESC);
        """
    )
    grant("monitor", "celery_task_results_ext", "SELECT, INSERT, UPDATE, DELETE")
    create_outbox("monitor")
