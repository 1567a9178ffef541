"""Which broker the runs were published to, to notice when it has lost its data."""

from services.kernel.grants import grant
from services.kernel.migrations import run_script

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    run_script(
        """
        ALTER TABLE celery_schedules ADD COLUMN resend_lost boolean NOT NULL DEFAULT false;
        CREATE TABLE celery_schedule_broker (
            one boolean PRIMARY KEY DEFAULT true CHECK (one),
            -- What the broker keeps with its data.
            identity text NOT NULL,
            seen_at timestamptz NOT NULL DEFAULT now(),
            -- When another identity was found; until what was lost is marked.
            lost_at timestamptz
        );
        """
    )
    grant("scheduler", "celery_schedule_broker", "SELECT, INSERT, UPDATE")
