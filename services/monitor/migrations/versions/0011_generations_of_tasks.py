"""Tasks go a generation at a time: the table is closed now and then, and dropped when it is old.

`celery_task_results_ext` stays the table that is written. `celery_tasks_close` renames it, makes a new one of
the same form in its place, and lets the old one inherit from it: so whoever reads it, the version before
included, reads all generations. That version writes as before. It closes and drops none.

The monitor's role has no right to create or drop tables; the two functions do it with their owner's.
"""

from services.kernel.grants import grant, role_of
from services.kernel.migrations import run_script

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    run_script(
        """
        -- The generations of tasks: that of number N is the table celery_task_results_N, once it is closed.
        CREATE TABLE celery_task_generations (
            number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            began_at timestamptz NOT NULL,
            -- Its tasks may be as old as this: those that were there before there were generations.
            oldest_at timestamptz NOT NULL,
            -- NULL: the one that is written. No row of a closed one is changed: it is moved here first.
            closed_at timestamptz
        );
        CREATE UNIQUE INDEX celery_task_generations_open ON celery_task_generations ((true))
            WHERE closed_at IS NULL;
        INSERT INTO celery_task_generations (began_at, oldest_at)
            SELECT clock_timestamp(), coalesce(min(heard_at), clock_timestamp()) FROM celery_task_results_ext;

        CREATE FUNCTION celery_tasks_close() RETURNS bigint
            LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
        DECLARE
            generation bigint;
            closed text;
            indexes text[];
            triggers text[];
            each record;
            statement text;
        BEGIN
            LOCK TABLE celery_task_results_ext IN ACCESS EXCLUSIVE MODE;
            UPDATE celery_task_generations SET closed_at = clock_timestamp() WHERE closed_at IS NULL
                RETURNING number INTO STRICT generation;
            INSERT INTO celery_task_generations (began_at, oldest_at)
                VALUES (clock_timestamp(), clock_timestamp());
            closed := 'celery_task_results_' || generation;

            SELECT array_agg(pg_get_indexdef(indexrelid)) INTO indexes FROM pg_index
                WHERE indrelid = 'celery_task_results_ext'::regclass AND NOT indisprimary;
            SELECT array_agg(pg_get_triggerdef(oid)) INTO triggers FROM pg_trigger
                WHERE tgrelid = 'celery_task_results_ext'::regclass AND NOT tgisinternal;
            FOR each IN SELECT tgname AS name FROM pg_trigger
                WHERE tgrelid = 'celery_task_results_ext'::regclass AND NOT tgisinternal
            LOOP
                EXECUTE format('DROP TRIGGER %I ON celery_task_results_ext', each.name);
            END LOOP;
            FOR each IN SELECT relname AS name FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
                WHERE indrelid = 'celery_task_results_ext'::regclass
            LOOP
                EXECUTE format('ALTER INDEX %I RENAME TO %I', each.name, each.name || '_' || generation);
            END LOOP;
            EXECUTE format('ALTER TABLE celery_task_results_ext RENAME TO %I', closed);
            EXECUTE format(
                'CREATE TABLE celery_task_results_ext (LIKE %I INCLUDING DEFAULTS INCLUDING GENERATED'
                ' INCLUDING STORAGE INCLUDING CONSTRAINTS)', closed);
            ALTER TABLE celery_task_results_ext ADD CONSTRAINT celery_task_results_ext_pkey PRIMARY KEY (id);
            FOREACH statement IN ARRAY indexes || triggers LOOP
                EXECUTE statement;
            END LOOP;
            FOR each IN SELECT inhrelid::regclass AS name FROM pg_inherits
                WHERE inhparent = format('%I', closed)::regclass
            LOOP
                EXECUTE format('ALTER TABLE %s NO INHERIT %I', each.name, closed);
                EXECUTE format('ALTER TABLE %s INHERIT celery_task_results_ext', each.name);
            END LOOP;
            EXECUTE format('ALTER TABLE %I INHERIT celery_task_results_ext', closed);
            GRANT SELECT, INSERT, UPDATE, DELETE ON celery_task_results_ext TO celeriac_monitor;
            RETURN generation;
        END $$;

        CREATE FUNCTION celery_tasks_drop(generation bigint) RETURNS void
            LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
        BEGIN
            DELETE FROM celery_task_generations WHERE number = generation AND closed_at IS NOT NULL;
            IF FOUND THEN
                EXECUTE format('DROP TABLE %I', 'celery_task_results_' || generation);
            END IF;
        END $$;
        REVOKE ALL ON FUNCTION celery_tasks_close(), celery_tasks_drop(bigint) FROM PUBLIC;
        """
    )
    grant("monitor", "celery_task_generations", "SELECT, INSERT")
    run_script(
        f"GRANT EXECUTE ON FUNCTION celery_tasks_close(), celery_tasks_drop(bigint) TO {role_of('monitor')}"
    )
