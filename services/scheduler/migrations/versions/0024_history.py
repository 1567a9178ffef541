"""What each schedule was and when, and who changed it: ExplainSchedule tells why a due time had no run.

Each change of what a person decides adds a row, and nothing is updated: sets of thousands are changed at
once. Triggers do this, so that changes by SQL are recorded too. The scheduler's transactions name their
caller by the setting celeriac.actor; a row without an actor was written by other hands. The columns are
listed by name, as in migration 0010, so that the dispatcher's updates cost nothing.

A schedule that is there already gets one row: what it is has held since it was last changed.
"""

from services.kernel.grants import grant
from services.kernel.migrations import run_script

revision = "0024"
down_revision = "0023"

# All that a person decides, and the version.
WATCHED = (
    "version, task, args_json, kwargs_json, queue, priority, expires, soft_time_limit, time_limit, headers,"
    " crontab, interval_seconds, anchor, once_at, solar_event, latitude, longitude, time_zone, start_at,"
    " end_at, max_runs, jitter_seconds, misfire, misfire_window_seconds, overlap, resend_lost, description,"
    " labels, paused, pause_note"
)
# No arguments, headers and texts: they may be long, or secret, and decide on no due time.
WITHOUT = (
    "'{id,args_json,kwargs_json,headers,description,labels,run_count,next_run_at,next_due_at,last_run_at,"
    "created_at,updated_at,task_namespace}'::text[]"
)
CHANGED = ", ".join(
    f"CASE WHEN OLD.{column} IS DISTINCT FROM NEW.{column} THEN '{column}' END"
    for column in WATCHED.split(", ")
    if column != "version"
)
ACTOR = "coalesce(current_setting('celeriac.actor', true), '')"


def upgrade() -> None:
    run_script(
        f"""
        CREATE TABLE celery_schedule_history (
            schedule_id text COLLATE "C" NOT NULL,
            number bigint GENERATED ALWAYS AS IDENTITY,
            kind text NOT NULL CHECK (kind IN ('found', 'created', 'updated')),
            -- Who made it what it is; empty: somebody, by SQL.
            actor text NOT NULL,
            -- The columns that were changed.
            fields text[] NOT NULL,
            -- The columns of celery_schedules that decide when it is due, whether, and on which queue.
            definition jsonb NOT NULL,
            -- From when on it was so: until the next row of the schedule.
            since timestamptz NOT NULL,
            PRIMARY KEY (schedule_id, number)
        );
        CREATE INDEX celery_schedule_history_age ON celery_schedule_history (since);

        INSERT INTO celery_schedule_history (schedule_id, kind, actor, fields, definition, since)
        SELECT id, 'found', '', '{{}}', jsonb_strip_nulls(to_jsonb(s) - {WITHOUT}),
            CASE WHEN isfinite(updated_at) THEN greatest('epoch', least(updated_at, now())) ELSE now() END
        FROM celery_schedules s;

        CREATE FUNCTION celery_schedule_history_begun() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO celery_schedule_history (schedule_id, kind, actor, fields, definition, since)
            SELECT id, 'created', {ACTOR}, '{{}}', jsonb_strip_nulls(to_jsonb(changed) - {WITHOUT}),
                clock_timestamp()
            FROM changed;
            RETURN NULL;
        END $$;
        CREATE TRIGGER history_begun AFTER INSERT ON celery_schedules REFERENCING NEW TABLE AS changed
            FOR EACH STATEMENT EXECUTE FUNCTION celery_schedule_history_begun();

        CREATE FUNCTION celery_schedule_history_goes_on() RETURNS trigger LANGUAGE plpgsql AS $$
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
        CREATE TRIGGER history_goes_on AFTER UPDATE OF {WATCHED} ON celery_schedules
            FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*)
            EXECUTE FUNCTION celery_schedule_history_goes_on();

        CREATE FUNCTION celery_schedule_history_ended() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            DELETE FROM celery_schedule_history h USING gone WHERE h.schedule_id = gone.id;
            RETURN NULL;
        END $$;
        CREATE TRIGGER history_ended AFTER DELETE ON celery_schedules REFERENCING OLD TABLE AS gone
            FOR EACH STATEMENT EXECUTE FUNCTION celery_schedule_history_ended();
        """
    )
    grant("scheduler", "celery_schedule_history", "SELECT, INSERT, UPDATE, DELETE")
