"""Backfills: due times of the past that an operator has sent, at a pace."""

from services.kernel.grants import grant
from services.kernel.migrations import run_script

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    run_script(
        """
        CREATE TABLE celery_schedule_backfills (
            id text PRIMARY KEY,
            schedule_id text NOT NULL,
            start_at timestamptz NOT NULL,
            end_at timestamptz NOT NULL,
            newest_first boolean NOT NULL,
            -- Runs a second.
            rate double precision NOT NULL CHECK (rate > 0),
            actor text NOT NULL,
            request_id text,
            state text NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'done', 'cancelled')),
            note text NOT NULL DEFAULT '',
            -- What is to be sent, in that order, as it was when it was asked for; emptied at the end.
            due_at timestamptz[] NOT NULL,
            run_count integer NOT NULL,
            first_due_at timestamptz,
            last_due_at timestamptz,
            -- Of due_at, this many are dealt with: sent, or passed over because they had a run by then.
            handled integer NOT NULL DEFAULT 0,
            sent integer NOT NULL DEFAULT 0,
            next_at timestamptz NOT NULL DEFAULT now(),
            created_at timestamptz NOT NULL DEFAULT now(),
            ended_at timestamptz
        );
        CREATE UNIQUE INDEX celery_schedule_backfills_running ON celery_schedule_backfills (schedule_id)
            WHERE state = 'running';
        CREATE UNIQUE INDEX celery_schedule_backfills_request
            ON celery_schedule_backfills (schedule_id, request_id) WHERE request_id IS NOT NULL;
        CREATE INDEX celery_schedule_backfills_next ON celery_schedule_backfills (next_at)
            WHERE state = 'running';
        CREATE INDEX celery_schedule_backfills_newest
            ON celery_schedule_backfills (schedule_id, created_at DESC, id DESC);

        -- Which backfill sends a run. Its time to expire counts from the sending, not from the due time.
        ALTER TABLE celery_schedule_runs ADD COLUMN backfill_id text;

        -- As runs do, backfills go with their schedule: a foreign key would cost each dispatch.
        CREATE FUNCTION celery_schedule_backfills_deleted() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            DELETE FROM celery_schedule_backfills b USING gone WHERE b.schedule_id = gone.id;
            RETURN NULL;
        END $$;
        CREATE TRIGGER backfills_deleted AFTER DELETE ON celery_schedules
            REFERENCING OLD TABLE AS gone
            FOR EACH STATEMENT EXECUTE FUNCTION celery_schedule_backfills_deleted();

        -- In the transaction that pauses, whoever does it: nothing is sent after that.
        CREATE FUNCTION celery_schedule_backfills_paused() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            UPDATE celery_schedule_backfills
            SET state = 'cancelled', note = 'the schedule was paused', ended_at = now(), due_at = '{}'
            WHERE schedule_id = NEW.id AND state = 'running';
            RETURN NULL;
        END $$;
        CREATE TRIGGER backfills_paused AFTER UPDATE OF paused ON celery_schedules
            FOR EACH ROW WHEN (NEW.paused AND NOT OLD.paused)
            EXECUTE FUNCTION celery_schedule_backfills_paused();
        """
    )
    grant("scheduler", "celery_schedule_backfills", "SELECT, INSERT, UPDATE, DELETE")
