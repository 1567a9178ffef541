"""Operations that retry many tasks: their tasks wait beside those that are sent, and triggers count them.

The version before writes no operation, and retries single tasks as before.
"""

from services.kernel.grants import grant
from services.kernel.migrations import run_script

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    run_script(
        """
        -- NULL: it belongs to none.
        ALTER TABLE celery_sent_tasks ADD COLUMN operation_id uuid;
        CREATE INDEX celery_sent_tasks_waiting ON celery_sent_tasks (operation_id, created_at)
            WHERE state = 'waiting' AND operation_id IS NOT NULL;

        -- Requests to retry many, by the ids that their callers gave them.
        CREATE TABLE celery_retry_requests (
            request_id text PRIMARY KEY,
            digest bytea NOT NULL,
            -- NULL only within the transaction that begins the operation.
            answer bytea,
            created_at timestamptz NOT NULL DEFAULT clock_timestamp()
        );

        CREATE FUNCTION celery_sent_tasks_operation_moved() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM celery_operation_advance(NEW.operation_id, 1, (NEW.state = 'failed')::int);
            RETURN NULL;
        END $$;
        CREATE TRIGGER operation_moved AFTER UPDATE OF state ON celery_sent_tasks
            FOR EACH ROW
            WHEN (NEW.operation_id IS NOT NULL AND OLD.state = 'waiting' AND NEW.state <> 'waiting')
            EXECUTE FUNCTION celery_sent_tasks_operation_moved();
        """
    )
    grant("monitor", "celery_retry_requests", "SELECT, INSERT, UPDATE, DELETE")
