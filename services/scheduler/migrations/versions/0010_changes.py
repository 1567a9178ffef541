"""A log of what changes, written by the transactions that change it: for those who watch."""

from services.kernel.grants import grant
from services.kernel.migrations import run_script

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    run_script(
        """
        CREATE TABLE celery_schedule_changes (
            -- Whose transaction it is: one that commits late is known by it (see the scheduler's
            -- watch/cursor.py). Its changes are in the order of their positions.
            txid xid8 NOT NULL DEFAULT pg_current_xact_id(),
            position bigint GENERATED ALWAYS AS IDENTITY,
            recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
            kind text NOT NULL CHECK (kind IN ('created', 'updated', 'deleted', 'runs', 'batch')),
            -- Many in one row, where one statement changes many. What they are now is read when it is told.
            schedule_ids text[],
            -- Of runs, beside schedule_ids.
            due_at timestamptz[],
            -- A batch of runs that was published.
            batch_id bigint,
            PRIMARY KEY (txid, position)
        );
        CREATE INDEX celery_schedule_changes_age ON celery_schedule_changes (recorded_at);

        -- What is no longer kept: no transaction beyond this one has lost changes.
        CREATE TABLE celery_schedule_changes_trimmed (
            one boolean PRIMARY KEY DEFAULT true CHECK (one),
            txid xid8 NOT NULL
        );
        INSERT INTO celery_schedule_changes_trimmed (txid) VALUES ('0');

        -- It only wakes; the log is what counts.
        CREATE FUNCTION celery_schedule_changes_noticed() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM pg_notify('celery_schedule_changes', '');
            RETURN NULL;
        END $$;
        CREATE TRIGGER notify AFTER INSERT ON celery_schedule_changes
            FOR EACH STATEMENT EXECUTE FUNCTION celery_schedule_changes_noticed();

        CREATE FUNCTION celery_schedules_created_or_deleted() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO celery_schedule_changes (kind, schedule_ids)
            SELECT TG_ARGV[0], array_agg(id)
            FROM (SELECT id, (row_number() OVER () - 1) / 200 AS part FROM changed) AS numbered
            GROUP BY part;
            RETURN NULL;
        END $$;
        CREATE TRIGGER log_created AFTER INSERT ON celery_schedules REFERENCING NEW TABLE AS changed
            FOR EACH STATEMENT EXECUTE FUNCTION celery_schedules_created_or_deleted('created');
        CREATE TRIGGER log_deleted AFTER DELETE ON celery_schedules REFERENCING OLD TABLE AS changed
            FOR EACH STATEMENT EXECUTE FUNCTION celery_schedules_created_or_deleted('deleted');

        -- What a person decides, by name: an UPDATE that names none of it, as the dispatcher's, costs
        -- nothing.
        CREATE FUNCTION celery_schedules_updated() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO celery_schedule_changes (kind, schedule_ids) VALUES ('updated', ARRAY[NEW.id]);
            RETURN NULL;
        END $$;
        CREATE TRIGGER log_updated AFTER UPDATE OF
                version, task, args_json, kwargs_json, queue, priority, expires, soft_time_limit, time_limit,
                headers, crontab, interval_seconds, anchor, once_at, solar_event, latitude, longitude,
                time_zone, start_at, end_at, max_runs, jitter_seconds, misfire, misfire_window_seconds,
                overlap, resend_lost, description, labels, paused, pause_note
            ON celery_schedules FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*)
            EXECUTE FUNCTION celery_schedules_updated();

        -- Runs are published by their batch, one row for all of them.
        CREATE FUNCTION celery_schedule_batches_published() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO celery_schedule_changes (kind, batch_id) VALUES ('batch', NEW.id);
            RETURN NULL;
        END $$;
        CREATE TRIGGER log_published AFTER UPDATE OF published_at ON celery_schedule_batches
            FOR EACH ROW WHEN (OLD.published_at IS NULL AND NEW.published_at IS NOT NULL)
            EXECUTE FUNCTION celery_schedule_batches_published();

        -- Dispatching updates no runs. EXCEPT, since the dispatcher's transactions allow no join but a loop.
        CREATE FUNCTION celery_schedule_runs_updated() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO celery_schedule_changes (kind, schedule_ids, due_at)
            SELECT 'runs', array_agg(schedule_id), array_agg(due_at)
            FROM (
                SELECT schedule_id, due_at, (row_number() OVER () - 1) / 500 AS part
                FROM (
                    SELECT schedule_id, due_at, state, reason, batch_id, outcome, runtime, error, ended_at
                    FROM after
                    EXCEPT
                    SELECT schedule_id, due_at, state, reason, batch_id, outcome, runtime, error, ended_at
                    FROM before
                ) AS changed
            ) AS numbered
            GROUP BY part;
            RETURN NULL;
        END $$;
        CREATE TRIGGER log_updated AFTER UPDATE ON celery_schedule_runs
            REFERENCING OLD TABLE AS before NEW TABLE AS after
            FOR EACH STATEMENT EXECUTE FUNCTION celery_schedule_runs_updated();
        """
    )
    grant("scheduler", "celery_schedule_changes", "SELECT, INSERT, DELETE")
    grant("scheduler", "celery_schedule_changes_trimmed", "SELECT, INSERT, UPDATE")
