"""Schedules, their runs, and the notice that wakes dispatchers."""

from services.kernel.grants import grant
from services.kernel.migrations import create_outbox, run_script

revision = "0001"
down_revision = None


def upgrade() -> None:
    run_script(
        """
        CREATE TABLE celery_schedules (
            id text PRIMARY KEY,
            task text NOT NULL,
            args_json text NOT NULL,
            kwargs_json text NOT NULL,
            queue text NOT NULL,
            priority smallint NOT NULL,
            expires double precision,
            soft_time_limit double precision,
            time_limit double precision,
            headers jsonb NOT NULL,
            crontab text,
            interval_seconds bigint,
            anchor timestamptz,
            time_zone text NOT NULL,
            description text NOT NULL,
            labels jsonb NOT NULL,
            paused boolean NOT NULL,
            pause_note text NOT NULL,
            version bigint NOT NULL DEFAULT 1,
            next_run_at timestamptz,
            last_run_at timestamptz,
            created_at timestamptz NOT NULL DEFAULT now(),
            updated_at timestamptz NOT NULL DEFAULT now(),
            CHECK ((crontab IS NULL) <> (interval_seconds IS NULL)),
            CHECK ((interval_seconds IS NULL) = (anchor IS NULL))
        );
        CREATE INDEX celery_schedules_due ON celery_schedules (next_run_at) WHERE next_run_at IS NOT NULL;

        CREATE TABLE celery_schedule_runs (
            schedule_id text NOT NULL REFERENCES celery_schedules ON DELETE CASCADE,
            due_at timestamptz NOT NULL,
            state text NOT NULL,
            reason text NOT NULL,
            request_id text,
            recorded_at timestamptz NOT NULL DEFAULT now(),
            published_at timestamptz,
            PRIMARY KEY (schedule_id, due_at)
        );
        CREATE INDEX celery_schedule_runs_pending ON celery_schedule_runs (recorded_at)
            WHERE state = 'pending';
        CREATE INDEX celery_schedule_runs_newest ON celery_schedule_runs (due_at DESC, schedule_id DESC);
        CREATE UNIQUE INDEX celery_schedule_runs_request ON celery_schedule_runs (schedule_id, request_id)
            WHERE request_id IS NOT NULL;

        -- A notice only shortens sleep; the table is what counts. The dispatcher's own changes of
        -- next_run_at need none.
        CREATE FUNCTION celery_schedules_changed() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF current_setting('celeriac.dispatching', true) IS DISTINCT FROM 'on' THEN
                PERFORM pg_notify('celery_schedules', '');
            END IF;
            RETURN NULL;
        END $$;
        CREATE TRIGGER notify AFTER INSERT OR UPDATE OR DELETE ON celery_schedules
            FOR EACH STATEMENT EXECUTE FUNCTION celery_schedules_changed();
        """
    )
    grant("scheduler", "celery_schedules, celery_schedule_runs", "SELECT, INSERT, UPDATE, DELETE")
    create_outbox("scheduler")
