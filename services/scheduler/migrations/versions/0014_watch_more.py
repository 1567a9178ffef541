"""The log of changes has backfills, what schedules were that are no longer so, and what stays pending.

Each step of a backfill is written by its own transaction. What a schedule was is for those who watch by a
filter: one that no longer matches has to be told as gone. The dispatcher's changes of schedules are no such.
Batches that stay unpublished are logged by whoever finds them (dispatch/pending_log.py), once.
"""

from services.kernel.migrations import run_script

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    run_script(
        """
        ALTER TABLE celery_schedule_changes
            -- Of the schedule in schedule_ids.
            ADD COLUMN backfill_id text,
            -- What filters look at, as it was before, of those schedules for which it changed. NULL: unknown.
            ADD COLUMN before jsonb,
            DROP CONSTRAINT celery_schedule_changes_kind_check,
            ADD CONSTRAINT celery_schedule_changes_kind_check
                CHECK (kind IN ('created', 'updated', 'deleted', 'runs', 'batch', 'unpublished', 'backfill'));
        CREATE UNIQUE INDEX celery_schedule_changes_unpublished ON celery_schedule_changes (batch_id)
            WHERE kind = 'unpublished';

        CREATE OR REPLACE FUNCTION celery_schedules_updated() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO celery_schedule_changes (kind, schedule_ids, before) VALUES ('updated', ARRAY[NEW.id],
                CASE WHEN (OLD.task, OLD.queue, OLD.labels, OLD.paused, OLD.description) IS DISTINCT FROM
                    (NEW.task, NEW.queue, NEW.labels, NEW.paused, NEW.description)
                THEN jsonb_build_array(jsonb_build_object('id', OLD.id, 'task', OLD.task, 'queue', OLD.queue,
                    'labels', OLD.labels, 'paused', OLD.paused, 'description', OLD.description))
                ELSE '[]' END);
            RETURN NULL;
        END $$;

        CREATE FUNCTION celery_schedules_deleted() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO celery_schedule_changes (kind, schedule_ids, before)
            SELECT 'deleted', array_agg(id), jsonb_agg(jsonb_build_object('id', id, 'task', task,
                'queue', queue, 'labels', labels, 'paused', paused, 'description', description))
            FROM (SELECT *, (row_number() OVER () - 1) / 200 AS part FROM gone) AS numbered
            GROUP BY part;
            RETURN NULL;
        END $$;
        DROP TRIGGER log_deleted ON celery_schedules;
        CREATE TRIGGER log_deleted AFTER DELETE ON celery_schedules REFERENCING OLD TABLE AS gone
            FOR EACH STATEMENT EXECUTE FUNCTION celery_schedules_deleted();

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
