"""Runs follow their schedules by a trigger instead of a foreign key, whose check costs as much as the run.

Every writer of runs holds the schedule's row lock, so there is nothing for the check to find.
"""

from services.kernel.migrations import run_script

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    run_script(
        """
        ALTER TABLE celery_schedule_runs DROP CONSTRAINT celery_schedule_runs_schedule_id_fkey;
        CREATE FUNCTION celery_schedule_runs_deleted() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            DELETE FROM celery_schedule_runs r USING gone WHERE r.schedule_id = gone.id;
            RETURN NULL;
        END $$;
        CREATE TRIGGER runs_deleted AFTER DELETE ON celery_schedules
            REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION celery_schedule_runs_deleted();
        """
    )
