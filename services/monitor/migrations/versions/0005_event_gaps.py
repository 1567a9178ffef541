"""Gaps of the events are records; and each monitor notes up to when it has heard events."""

from services.kernel.grants import grant
from services.kernel.migrations import run_script

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    run_script(
        """
        CREATE TABLE celery_event_gaps (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            cause text NOT NULL,
            started_at timestamptz NOT NULL,
            ended_at timestamptz NOT NULL,
            missed bigint,
            state text NOT NULL DEFAULT 'OPEN',
            from_results bigint NOT NULL DEFAULT 0,
            from_workers bigint NOT NULL DEFAULT 0,
            not_repairable bigint NOT NULL DEFAULT 0,
            undecided bigint NOT NULL DEFAULT 0,
            note text NOT NULL DEFAULT '',
            results_read boolean,
            recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
            repaired_at timestamptz,
            repairer uuid,
            repairing_until timestamptz,
            CONSTRAINT celery_event_gaps_state_check CHECK (state IN ('OPEN', 'REPAIRED')),
            CONSTRAINT celery_event_gaps_check CHECK ((state = 'REPAIRED') = (repaired_at IS NOT NULL))
        );
        CREATE INDEX celery_event_gaps_newest ON celery_event_gaps (started_at DESC, id DESC);
        CREATE INDEX celery_event_gaps_open ON celery_event_gaps (ended_at) WHERE state = 'OPEN';

        CREATE TABLE celery_event_listeners (
            id uuid PRIMARY KEY,
            heard_until timestamptz NOT NULL,
            seen_at timestamptz NOT NULL
        );
        """
    )
    grant("monitor", "celery_event_gaps, celery_event_listeners", "SELECT, INSERT, UPDATE, DELETE")
