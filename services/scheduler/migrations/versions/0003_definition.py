"""Every timing; bounds, jitter and what is done about missed due times."""

from services.kernel.migrations import run_script

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    run_script(
        """
        ALTER TABLE celery_schedules
            -- Milliseconds, too.
            ALTER COLUMN interval_seconds TYPE double precision,
            ADD COLUMN once_at timestamptz,
            ADD COLUMN solar_event text,
            ADD COLUMN latitude double precision,
            ADD COLUMN longitude double precision,
            ADD COLUMN start_at timestamptz,
            ADD COLUMN end_at timestamptz,
            ADD COLUMN max_runs bigint CHECK (max_runs > 0),
            ADD COLUMN run_count bigint NOT NULL DEFAULT 0,
            ADD COLUMN jitter_seconds double precision NOT NULL DEFAULT 0 CHECK (jitter_seconds >= 0),
            ADD COLUMN misfire text NOT NULL DEFAULT 'run_once'
                CHECK (misfire IN ('skip', 'run_once', 'run_each')),
            ADD COLUMN misfire_window_seconds double precision NOT NULL DEFAULT 3600,
            -- The due time that is sent at next_run_at, where jitter makes these two; else NULL.
            ADD COLUMN next_due_at timestamptz,
            -- "Either a crontab or an interval", as 0001 has it.
            DROP CONSTRAINT celery_schedules_check,
            ADD CONSTRAINT one_timing
                CHECK (num_nonnulls(crontab, interval_seconds, once_at, solar_event) = 1),
            ADD CONSTRAINT solar_place
                CHECK ((solar_event IS NULL) = (latitude IS NULL)
                    AND (solar_event IS NULL) = (longitude IS NULL));
        """
    )
