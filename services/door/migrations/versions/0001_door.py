"""One-time links, the second factors of people, and what the door needs of the kernel's tables."""

from services.kernel.grants import grant
from services.kernel.migrations import create_outbox, run_script

revision = "0001"
down_revision = None


def upgrade() -> None:
    run_script(
        """
        CREATE TABLE door_links (
            -- SHA-256 of the key: who reads the table can't use a link.
            key_hash bytea PRIMARY KEY,
            subject text NOT NULL,
            role text NOT NULL,
            -- The id of the token that it was made with: revoked with that.
            made_by text NOT NULL,
            created_at timestamptz NOT NULL,
            expires_at timestamptz NOT NULL,
            used_at timestamptz
        );
        CREATE INDEX door_links_expired ON door_links (expires_at);

        CREATE TABLE door_factors (
            subject text PRIMARY KEY,
            -- Sealed JSON (services.kernel.sealing).
            secret text NOT NULL,
            -- The last time step whose code was used: each counts once.
            used_step bigint NOT NULL DEFAULT 0,
            -- Wrong codes since the last right one, and until when no code is taken because of them.
            failures integer NOT NULL DEFAULT 0,
            locked_until timestamptz,
            enrolled_at timestamptz NOT NULL
        );
        """
    )
    grant("door", "door_links", "SELECT, INSERT, UPDATE, DELETE")
    grant("door", "door_factors", "SELECT, INSERT, UPDATE")
    create_outbox("door")
    # Whoever signs out is shut out by the id of one token; all of a person's are not the door's to revoke.
    grant("door", "celeriac_revocations", "SELECT, INSERT (token_id, expires_at, actor, reason)")
    grant("door", "alembic_version_kernel", "SELECT")
