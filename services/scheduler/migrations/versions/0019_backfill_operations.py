"""Each backfill has its operation (services.kernel.operations), which follows it by triggers.

So it does not matter who changes the backfill: a process of this version or of the one before, or the
triggers that end it when its schedule is paused or deleted.
"""

from services.kernel.migrations import run_script

revision = "0019"
down_revision = "0018"

COLUMNS = """
    id, owner, kind, state, total, done, metadata, resource, actor, note, created_at, ended_at
"""
# The operation of the backfill in the row `b`.
VALUES = """
    b.operation_id, 'scheduler', 'backfill_schedule', b.state, b.run_count, b.handled,
    jsonb_build_object(
        'schedule', 'schedules/' || b.schedule_id,
        'start_time', to_char(b.start_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        'end_time', to_char(b.end_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        'rate', b.rate,
        'order', CASE WHEN b.newest_first THEN 'newest first' ELSE 'oldest first' END),
    'schedules/' || b.schedule_id || '/backfills/' || b.id, b.actor, b.note, b.created_at, b.ended_at
"""


def upgrade() -> None:
    run_script(
        f"""
        ALTER TABLE celery_schedule_backfills ADD COLUMN operation_id uuid NOT NULL DEFAULT gen_random_uuid();
        CREATE UNIQUE INDEX celery_schedule_backfills_operation ON celery_schedule_backfills (operation_id);

        CREATE FUNCTION celery_schedule_backfills_operation_begun() RETURNS trigger LANGUAGE plpgsql AS $$
        DECLARE
            b celery_schedule_backfills := NEW;
        BEGIN
            INSERT INTO celery_operations ({COLUMNS}) VALUES ({VALUES});
            RETURN NULL;
        END $$;
        CREATE FUNCTION celery_schedule_backfills_operation_moved() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF NEW.handled <> OLD.handled THEN
                PERFORM celery_operation_advance(NEW.operation_id, NEW.handled - OLD.handled, 0);
            END IF;
            IF NEW.state = 'cancelled' AND OLD.state <> 'cancelled' THEN
                PERFORM celery_operation_cancel(NEW.operation_id, NEW.note);
            END IF;
            RETURN NULL;
        END $$;
        CREATE FUNCTION celery_schedule_backfills_operation_gone() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM celery_operation_cancel(OLD.operation_id, 'the schedule was deleted');
            RETURN NULL;
        END $$;
        CREATE TRIGGER operation_begun AFTER INSERT ON celery_schedule_backfills
            FOR EACH ROW EXECUTE FUNCTION celery_schedule_backfills_operation_begun();
        CREATE TRIGGER operation_moved AFTER UPDATE OF state, handled ON celery_schedule_backfills
            FOR EACH ROW WHEN ((OLD.state, OLD.handled) IS DISTINCT FROM (NEW.state, NEW.handled))
            EXECUTE FUNCTION celery_schedule_backfills_operation_moved();
        CREATE TRIGGER operation_gone AFTER DELETE ON celery_schedule_backfills
            FOR EACH ROW WHEN (OLD.state = 'running')
            EXECUTE FUNCTION celery_schedule_backfills_operation_gone();

        -- The backfills that there are already. Operations are kept for 30 days after their end.
        INSERT INTO celery_operations ({COLUMNS})
        SELECT {VALUES} FROM celery_schedule_backfills AS b
        WHERE b.state = 'running' OR b.ended_at > now() - interval '30 days';
        """
    )
