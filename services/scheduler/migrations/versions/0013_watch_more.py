"""The log of changes has backfills, too: each step of one, written by its own transaction."""

from services.kernel.migrations import run_script

revision = "0013"
down_revision = "0011"


def upgrade() -> None:
    run_script(
        """
        ALTER TABLE celery_schedule_changes
            -- Of the schedule in schedule_ids.
            ADD COLUMN backfill_id text,
            DROP CONSTRAINT celery_schedule_changes_kind_check,
            ADD CONSTRAINT celery_schedule_changes_kind_check
                CHECK (kind IN ('created', 'updated', 'deleted', 'runs', 'batch', 'backfill'));

        CREATE FUNCTION celery_schedule_backfills_moved() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO celery_schedule_changes (kind, schedule_ids, backfill_id)
            VALUES ('backfill', ARRAY[NEW.schedule_id], NEW.id);
            RETURN NULL;
        END $$;
        CREATE TRIGGER log_begun AFTER INSERT ON celery_schedule_backfills
            FOR EACH ROW EXECUTE FUNCTION celery_schedule_backfills_moved();
        -- Not OLD and NEW as a whole: that would compare thousands of due times at each step.
        CREATE TRIGGER log_moved AFTER UPDATE OF state, note, handled, sent ON celery_schedule_backfills
            FOR EACH ROW
            WHEN ((OLD.state, OLD.note, OLD.handled, OLD.sent) IS DISTINCT FROM
                (NEW.state, NEW.note, NEW.handled, NEW.sent))
            EXECUTE FUNCTION celery_schedule_backfills_moved();
        """
    )
