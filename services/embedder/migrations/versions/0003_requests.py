"""Requests that began operations, by request id. They are kept as long as their operation."""

from services.kernel.grants import grant
from services.kernel.migrations import run_script

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    run_script(
        """
        CREATE TABLE embedder_requests (
            -- What the id counts in: "EmbedMessages".
            scope text NOT NULL,
            request_id text NOT NULL,
            -- SHA-256 of the caller and the request.
            digest bytea NOT NULL,
            -- Null within the transaction that begins it.
            operation_id uuid REFERENCES embedder_operations ON DELETE CASCADE,
            PRIMARY KEY (scope, request_id)
        );
        CREATE INDEX embedder_requests_operation ON embedder_requests (operation_id);
        """
    )
    grant("embedder", "embedder_requests", "SELECT, INSERT, UPDATE, DELETE")
