"""Revocations of tokens, which every service reads and the audit service writes."""

from services import SERVICES
from services.kernel.grants import grant
from services.kernel.migrations import run_script

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    run_script(
        """
        CREATE TABLE celeriac_revocations (
            id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
            -- One of these is set: the id of one token, or the subject of all issued until `created_at`.
            token_id text,
            subject text,
            created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
            expires_at timestamptz NOT NULL,
            actor text NOT NULL,
            reason text NOT NULL DEFAULT '',
            CHECK ((token_id IS NULL) <> (subject IS NULL))
        );
        CREATE INDEX celeriac_revocations_newest ON celeriac_revocations (created_at DESC, id DESC);
        CREATE INDEX celeriac_revocations_expired ON celeriac_revocations (expires_at);

        CREATE FUNCTION celeriac_revocations_noticed() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM pg_notify('celeriac_revocations', '');
            RETURN NULL;
        END $$;
        CREATE TRIGGER notify AFTER INSERT ON celeriac_revocations
            FOR EACH STATEMENT EXECUTE FUNCTION celeriac_revocations_noticed();
        """
    )
    for service in SERVICES:
        grant(service, "celeriac_revocations", "SELECT")
    grant("audit", "celeriac_revocations", "INSERT, DELETE")
