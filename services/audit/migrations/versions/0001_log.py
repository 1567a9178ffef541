"""The log and its checkpoints: rows are only added, never changed or removed."""

from services.kernel.grants import grant
from services.kernel.migrations import create_outbox, run_script

revision = "0001"
down_revision = None


def upgrade() -> None:
    run_script(
        """
        CREATE TABLE celery_audit_logs (
            index bigint PRIMARY KEY,
            event_id uuid NOT NULL,
            kind text NOT NULL,
            time timestamptz NOT NULL,
            actor text NOT NULL,
            role text NOT NULL,
            issuer text NOT NULL,
            method text NOT NULL,
            resource text NOT NULL,
            code text NOT NULL,
            message text NOT NULL,
            address text NOT NULL,
            user_agent text NOT NULL,
            request_id text NOT NULL,
            duration_ms double precision,
            leaf_hash bytea NOT NULL,
            body bytea NOT NULL,
            UNIQUE (event_id, kind)
        );
        CREATE INDEX celery_audit_logs_events ON celery_audit_logs (index DESC) WHERE kind <> 'outcome';
        CREATE INDEX celery_audit_logs_actor ON celery_audit_logs (actor, index DESC)
            WHERE kind <> 'outcome';
        CREATE INDEX celery_audit_logs_method ON celery_audit_logs (method, index DESC)
            WHERE kind <> 'outcome';
        CREATE INDEX celery_audit_logs_resource ON celery_audit_logs (resource, index DESC)
            WHERE kind <> 'outcome';
        CREATE INDEX celery_audit_logs_time ON celery_audit_logs (time) WHERE kind <> 'outcome';

        CREATE TABLE celery_audit_checkpoints (
            size bigint PRIMARY KEY,
            root bytea NOT NULL,
            frontier bytea[] NOT NULL,
            note text NOT NULL,
            time timestamptz NOT NULL DEFAULT now()
        );

        CREATE FUNCTION celery_audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
        END $$;
        CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON celery_audit_logs
            FOR EACH STATEMENT EXECUTE FUNCTION celery_audit_is_append_only();
        CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON celery_audit_checkpoints
            FOR EACH STATEMENT EXECUTE FUNCTION celery_audit_is_append_only();
        """,
    )
    grant("audit", "celery_audit_logs, celery_audit_checkpoints", "SELECT, INSERT")
    create_outbox("audit")
