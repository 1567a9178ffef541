"""What is done about a due time that comes while an earlier run is still going."""

from services.kernel.migrations import run_script

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    run_script(
        """
        ALTER TABLE celery_schedules
            ADD COLUMN overlap text NOT NULL DEFAULT 'allow'
                CHECK (overlap IN ('allow', 'skip', 'queue', 'cancel'));
        ALTER TABLE celery_schedule_runs
            -- Others of its schedule may not run beside it.
            ADD COLUMN exclusive boolean NOT NULL DEFAULT false;
        CREATE INDEX celery_schedule_runs_exclusive ON celery_schedule_runs (schedule_id, due_at)
            WHERE exclusive AND outcome IS NULL AND state IN ('waiting', 'pending', 'published');
        CREATE INDEX celery_schedule_runs_waiting ON celery_schedule_runs (recorded_at)
            WHERE state = 'waiting';

        -- What goes on when a person forbids overlaps counts from then on.
        CREATE FUNCTION celery_schedule_runs_exclusive() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            UPDATE celery_schedule_runs SET exclusive = true
            WHERE schedule_id = NEW.id AND due_at > now() - interval '2 days'
                AND outcome IS NULL AND state IN ('pending', 'published');
            RETURN NULL;
        END $$;
        CREATE TRIGGER runs_exclusive AFTER UPDATE OF overlap ON celery_schedules
            FOR EACH ROW WHEN (OLD.overlap = 'allow' AND NEW.overlap <> 'allow')
            EXECUTE FUNCTION celery_schedule_runs_exclusive();
        """
    )
