"""The index of what tasks are searched by: texts, and values of filters (services/monitor/search).

Tasks up to a place in the order of lists are closed: they are in slices, or will be soon. The triggers note
each closed task that is written later, whoever writes it, the version before included: a search looks at
these one by one until their slice is made anew.
"""

from services.kernel.grants import grant, grant_sequence
from services.kernel.migrations import run_script

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    run_script(
        """
        -- One row: up to which place tasks are closed. Whoever moves it locks out those who write tasks.
        CREATE TABLE celery_task_search (
            single boolean PRIMARY KEY DEFAULT true,
            closed_at timestamptz NOT NULL,
            closed_id text NOT NULL,
            CONSTRAINT celery_task_search_single CHECK (single)
        );
        INSERT INTO celery_task_search (closed_at, closed_id) VALUES ('-infinity', '');

        -- The closed tasks up to a place, after that of the slice before. `is_full`: no more fit in. `first`:
        -- the number of its first task; those with lower numbers are in a slice that was made since.
        CREATE TABLE celery_task_slices (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            to_at timestamptz NOT NULL,
            to_id text NOT NULL,
            tasks int NOT NULL,
            first int NOT NULL DEFAULT 0,
            is_full boolean NOT NULL,
            CONSTRAINT celery_task_slices_place UNIQUE (to_at, to_id)
        );

        -- Which task a number of a slice is: in each row the tasks of so many numbers that follow each other.
        CREATE TABLE celery_task_slice_ids (
            slice bigint NOT NULL,
            portion int NOT NULL,
            heard_ats timestamptz[] NOT NULL,
            ids text[] NOT NULL,
            PRIMARY KEY (slice, portion)
        );

        -- services.monitor.search.postings says what a block holds; `first` is its first key.
        CREATE TABLE celery_task_grams (
            slice bigint NOT NULL,
            first bigint NOT NULL,
            block bytea NOT NULL,
            PRIMARY KEY (slice, first)
        );
        ALTER TABLE celery_task_grams ALTER COLUMN block SET STORAGE EXTERNAL;

        -- Closed tasks that were written after they were closed. Each writing gives a new number.
        CREATE SEQUENCE celery_task_late_writing;
        CREATE TABLE celery_task_late (
            id text PRIMARY KEY,
            heard_at timestamptz NOT NULL,
            writing bigint NOT NULL DEFAULT nextval('celery_task_late_writing')
        );
        CREATE INDEX celery_task_late_place ON celery_task_late (heard_at, id);

        -- The lock is held until the writing is committed. So whoever closes tasks waits for those who
        -- write, and sees what they wrote; and whoever writes after that sees the new place.
        CREATE FUNCTION celery_task_written() RETURNS trigger LANGUAGE plpgsql AS $$
        DECLARE
            closed celery_task_search;
        BEGIN
            PERFORM pg_advisory_xact_lock_shared(hashtextextended('celery_task_search', 0));
            SELECT * INTO closed FROM celery_task_search;
            INSERT INTO celery_task_late (id, heard_at)
                SELECT id, heard_at FROM written
                WHERE (heard_at, id) <= (closed.closed_at, closed.closed_id)
                ORDER BY id
                ON CONFLICT (id) DO UPDATE SET heard_at = excluded.heard_at, writing = DEFAULT;
            RETURN NULL;
        END $$;

        CREATE FUNCTION celery_tasks_emptied() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            TRUNCATE celery_task_slices, celery_task_slice_ids, celery_task_grams, celery_task_late;
            UPDATE celery_task_search SET closed_at = '-infinity', closed_id = '';
            RETURN NULL;
        END $$;

        CREATE TRIGGER search_added AFTER INSERT ON celery_task_results_ext
            REFERENCING NEW TABLE AS written
            FOR EACH STATEMENT EXECUTE FUNCTION celery_task_written();
        CREATE TRIGGER search_changed AFTER UPDATE ON celery_task_results_ext
            REFERENCING NEW TABLE AS written
            FOR EACH STATEMENT EXECUTE FUNCTION celery_task_written();
        CREATE TRIGGER search_emptied AFTER TRUNCATE ON celery_task_results_ext
            FOR EACH STATEMENT EXECUTE FUNCTION celery_tasks_emptied();
        """
    )
    grant("monitor", "celery_task_search", "SELECT, INSERT, UPDATE")
    grant("monitor", "celery_task_slices", "SELECT, INSERT, UPDATE, DELETE")
    grant("monitor", "celery_task_slice_ids", "SELECT, INSERT, DELETE")
    grant("monitor", "celery_task_grams", "SELECT, INSERT, DELETE")
    grant("monitor", "celery_task_late", "SELECT, INSERT, UPDATE, DELETE")
    grant_sequence("monitor", "celery_task_late_writing")
