"""The live configuration and its revisions."""

from services.kernel.grants import grant, grant_sequence
from services.kernel.migrations import run_script

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    run_script(
        """
        CREATE TABLE celery_system_config_revisions (
            -- In the order in which they were made: whoever writes holds a lock.
            revision bigint PRIMARY KEY,
            key text NOT NULL,
            change text NOT NULL CHECK (change IN ('set', 'reset', 'rollback')),
            is_set boolean NOT NULL,
            -- In clear, or encrypted with the data key wrapped beside it; neither when not set.
            value jsonb,
            sealed jsonb,
            -- The key's revision before this one.
            previous bigint REFERENCES celery_system_config_revisions,
            rolled_back_to bigint REFERENCES celery_system_config_revisions,
            actor text NOT NULL,
            comment text NOT NULL,
            request_id text,
            created_at timestamptz NOT NULL DEFAULT now(),
            CHECK (num_nonnulls(value, sealed) = is_set::int)
        );
        CREATE SEQUENCE celery_system_config_revision OWNED BY celery_system_config_revisions.revision;
        CREATE INDEX celery_system_config_revisions_key
            ON celery_system_config_revisions (key, revision DESC);
        CREATE UNIQUE INDEX celery_system_config_revisions_request
            ON celery_system_config_revisions (key, request_id) WHERE request_id IS NOT NULL;

        -- What is in force for each key that somebody has ever set. A sensitive value is in its revision.
        CREATE TABLE celery_system_config (
            key text PRIMARY KEY,
            is_set boolean NOT NULL,
            value jsonb,
            revision bigint NOT NULL UNIQUE REFERENCES celery_system_config_revisions,
            updated_by text NOT NULL,
            updated_at timestamptz NOT NULL DEFAULT now()
        );
        """
    )
    grant("scheduler", "celery_system_config", "SELECT, INSERT, UPDATE")
    # Of a revision nothing is changed but the key that wraps it.
    grant("scheduler", "celery_system_config_revisions", "SELECT, INSERT, UPDATE (sealed)")
    grant_sequence("scheduler", "celery_system_config_revision")
