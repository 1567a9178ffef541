"""Whether new tasks are stopped, and what is done to the workers.

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
    grant("monitor", "celery_halt_works", "SELECT, INSERT, UPDATE, DELETE")
