"""A schedule may pause itself when so many of its runs in a row have failed.

The triggers that log what a person decides name the columns, so they are made anew with this one.
"""

from services.kernel.migrations import run_script

revision = "0026"
down_revision = "0025"

# As in migrations 0010 and 0024, with one more column.
DECIDED = (
    "version, task, args_json, kwargs_json, queue, priority, expires, soft_time_limit, time_limit, headers,"
    " crontab, interval_seconds, anchor, once_at, solar_event, latitude, longitude, time_zone, start_at,"
    " end_at, max_runs, jitter_seconds, misfire, misfire_window_seconds, overlap, resend_lost,"
    " pause_after_failures, description, labels, paused, pause_note"
)
WITHOUT = (
    "'{id,args_json,kwargs_json,headers,description,labels,run_count,next_run_at,next_due_at,last_run_at,"
    "created_at,updated_at,task_namespace}'::text[]"
)
CHANGED = ", ".join(
    f"CASE WHEN OLD.{column} IS DISTINCT FROM NEW.{column} THEN '{column}' END"
    for column in DECIDED.split(", ")
    if column != "version"
)
ACTOR = "coalesce(current_setting('celeriac.actor', true), '')"


def upgrade() -> None:
    run_script(
        f"""
        -- NULL: it goes on, however its runs end.
        ALTER TABLE celery_schedules ADD COLUMN pause_after_failures integer
            CHECK (pause_after_failures > 0);

        DROP TRIGGER log_updated ON celery_schedules;
        CREATE TRIGGER log_updated AFTER UPDATE OF {DECIDED} ON celery_schedules
            FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*)
            EXECUTE FUNCTION celery_schedules_updated();

        CREATE OR REPLACE FUNCTION celery_schedule_history_goes_on() RETURNS trigger LANGUAGE plpgsql AS $$
        DECLARE
            changed text[] := array_remove(ARRAY[{CHANGED}], NULL);
        BEGIN
            IF changed <> '{{}}' THEN
                INSERT INTO celery_schedule_history (schedule_id, kind, actor, fields, definition, since)
                VALUES (NEW.id, 'updated', {ACTOR}, changed,
                    jsonb_strip_nulls(to_jsonb(NEW) - {WITHOUT}), clock_timestamp());
            END IF;
            RETURN NULL;
        END $$;
        DROP TRIGGER history_goes_on ON celery_schedules;
        CREATE TRIGGER history_goes_on AFTER UPDATE OF {DECIDED} ON celery_schedules
            FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*)
            EXECUTE FUNCTION celery_schedule_history_goes_on();
        """
    )
