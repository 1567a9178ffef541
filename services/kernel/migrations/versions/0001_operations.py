"""Operations: long work of any service, in one table. Each service writes the rows of its own work.

The work itself stands in tables of its owner, whose triggers call the two functions below in the transaction
that changes it. So the progress is never ahead of what is stored, and never behind it.
"""

from services import SERVICES
from services.kernel.grants import ensure_role, grant, role_of
from services.kernel.migrations import run_script

revision = "0001"
down_revision = None

# The services that have long work. Another one needs a policy of its own.
OWNERS = ("embedder", "scheduler")


def upgrade() -> None:
    run_script(
        """
        CREATE TABLE celery_operations (
            id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
            -- The service that does the work.
            owner text NOT NULL,
            kind text NOT NULL,
            state text NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'done', 'cancelled')),
            -- Units of work: in all, finished (the failed ones among them), failed.
            total bigint NOT NULL DEFAULT 0,
            done bigint NOT NULL DEFAULT 0,
            failed bigint NOT NULL DEFAULT 0,
            -- What was asked for.
            metadata jsonb NOT NULL DEFAULT '{}',
            -- The name of the resource that stands for the work; empty: none.
            resource text NOT NULL DEFAULT '',
            -- Who asked for it; empty: not known.
            actor text NOT NULL DEFAULT '',
            -- Why it was cancelled.
            note text NOT NULL DEFAULT '',
            -- Two operations of an owner with the same work can't run at the same time. NULL: they can.
            work text,
            created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
            updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
            ended_at timestamptz,
            cancel_requested_at timestamptz,
            cancel_requested_by text,
            -- The last sign of life of a process that does the work.
            owner_seen_at timestamptz NOT NULL DEFAULT clock_timestamp(),
            -- The transaction that changed it last: by it a reader finds what it has not seen.
            txid xid8 NOT NULL DEFAULT pg_current_xact_id(),
            CHECK ((state = 'running') = (ended_at IS NULL))
        );
        CREATE INDEX celery_operations_newest ON celery_operations (created_at DESC, id DESC);
        CREATE INDEX celery_operations_running ON celery_operations (created_at DESC, id DESC)
            WHERE state = 'running';
        CREATE INDEX celery_operations_ended ON celery_operations (owner, ended_at);
        CREATE INDEX celery_operations_changed ON celery_operations (txid);
        CREATE UNIQUE INDEX celery_operations_work ON celery_operations (owner, kind, work)
            WHERE state = 'running';

        -- A sign of life of the owner is no change: it sets owner_seen_at alone.
        CREATE FUNCTION celery_operations_stamp() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            NEW.txid := pg_current_xact_id();
            NEW.updated_at := clock_timestamp();
            RETURN NEW;
        END $$;
        CREATE TRIGGER stamp BEFORE INSERT OR UPDATE OF
                state, total, done, failed, metadata, resource, note, updated_at, ended_at,
                cancel_requested_at, cancel_requested_by
            ON celery_operations FOR EACH ROW EXECUTE FUNCTION celery_operations_stamp();

        -- Notifications only wake; the table is what counts. Equal ones of a transaction are sent once.
        CREATE FUNCTION celery_operations_noticed() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM pg_notify('celery_operations', '');
            RETURN NULL;
        END $$;
        CREATE TRIGGER notify AFTER INSERT OR UPDATE OF
                state, total, done, failed, metadata, resource, note, updated_at, ended_at,
                cancel_requested_at, cancel_requested_by
            ON celery_operations FOR EACH ROW EXECUTE FUNCTION celery_operations_noticed();

        CREATE FUNCTION celery_operations_cancel_requested() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM pg_notify('celery_operations_cancel', NEW.owner);
            RETURN NULL;
        END $$;
        CREATE TRIGGER notify_owner AFTER UPDATE OF cancel_requested_at ON celery_operations
            FOR EACH ROW WHEN (OLD.cancel_requested_at IS NULL AND NEW.cancel_requested_at IS NOT NULL)
            EXECUTE FUNCTION celery_operations_cancel_requested();

        -- Counts units as finished. The operation is done when all of them are.
        CREATE FUNCTION celery_operation_advance(operation uuid, more bigint, more_failed bigint)
        RETURNS void LANGUAGE sql AS $$
            UPDATE celery_operations
            SET done = done + more, failed = failed + more_failed, owner_seen_at = clock_timestamp(),
                state = CASE WHEN state = 'running' AND done + more >= total THEN 'done' ELSE state END,
                ended_at = CASE WHEN state = 'running' AND done + more >= total THEN clock_timestamp()
                    ELSE ended_at END
            WHERE id = operation
        $$;

        -- Cancels a running operation; one that has ended stays as it is.
        CREATE FUNCTION celery_operation_cancel(operation uuid, reason text)
        RETURNS void LANGUAGE sql AS $$
            UPDATE celery_operations SET state = 'cancelled', note = reason, ended_at = clock_timestamp()
            WHERE id = operation AND state = 'running'
        $$;

        ALTER TABLE celery_operations ENABLE ROW LEVEL SECURITY;
        CREATE POLICY everyone_reads ON celery_operations FOR SELECT USING (true);
        """
    )
    for service in SERVICES:
        grant(service, "celery_operations", "SELECT")
    for owner in OWNERS:
        grant(owner, "celery_operations", "INSERT, UPDATE, DELETE")
        run_script(
            f"""
            CREATE POLICY {owner}_writes ON celery_operations TO {role_of(owner)}
                USING (owner = '{owner}') WITH CHECK (owner = '{owner}')
            """
        )
    # The monitor serves CancelOperation for all owners, and can do nothing else to their rows.
    ensure_role("monitor")
    run_script(
        f"""
        GRANT UPDATE (cancel_requested_at, cancel_requested_by) ON celery_operations
            TO {role_of("monitor")};
        CREATE POLICY monitor_cancels ON celery_operations FOR UPDATE TO {role_of("monitor")}
            USING (state = 'running') WITH CHECK (state = 'running')
        """
    )
