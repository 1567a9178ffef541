"""Whether new tasks are stopped, which consumers were cancelled for that, and what is done to the workers.

The version before does not know of it: it leaves workers as they are.
"""

from services.kernel.grants import grant
from services.kernel.migrations import run_script

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    run_script(
        """
        -- One row. stopped_at: NULL while tasks are sent and taken. shut_down: workers are ended, too.
        -- scheduler_sends: what the scheduler was told last.
        CREATE TABLE celery_halt (
            single boolean PRIMARY KEY DEFAULT true,
            stopped_at timestamptz,
            stopped_by text NOT NULL DEFAULT '',
            shut_down boolean NOT NULL DEFAULT false,
            scheduler_sends boolean NOT NULL DEFAULT true,
            CONSTRAINT celery_halt_single CHECK (single),
            CONSTRAINT celery_halt_check CHECK (stopped_at IS NOT NULL OR NOT shut_down)
        );
        INSERT INTO celery_halt DEFAULT VALUES;

        -- What workers were told to stop consuming, to be told to consume again.
        CREATE TABLE celery_halted_consumers (
            hostname text NOT NULL,
            pid bigint NOT NULL,
            queue text NOT NULL,
            exchange text NOT NULL,
            exchange_type text NOT NULL,
            routing_key text NOT NULL,
            PRIMARY KEY (hostname, pid, queue)
        );

        -- Operations under way that drain, end or restart workers. steps: a JSON array, one for each worker.
        CREATE TABLE celery_halt_works (
            operation uuid PRIMARY KEY,
            kind text NOT NULL,
            until timestamptz NOT NULL,
            patience double precision NOT NULL,
            steps jsonb NOT NULL
        );
        """
    )
    grant("monitor", "celery_halt", "SELECT, INSERT, UPDATE")
    grant("monitor", "celery_halted_consumers", "SELECT, INSERT, UPDATE, DELETE")
    grant("monitor", "celery_halt_works", "SELECT, INSERT, UPDATE, DELETE")
