"""Schedules by what lists are filtered by: task, queue and labels, in a table beside theirs.

An index on these columns would be written to by each dispatch (docs/decisions/scheduler-indexes.md). The
triggers here are not: dispatching names none of the columns.
"""

from services.kernel.grants import grant
from services.kernel.migrations import run_script

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    run_script(
        """
        -- The schedules of each facet, in the order of lists. A facet is a hash, since a text may be longer
        -- than a row of an index: whoever finds a schedule by it looks at the schedule, too.
        CREATE TABLE celery_schedule_facets (
            facet bigint NOT NULL,
            schedule_id text NOT NULL,
            PRIMARY KEY (facet, schedule_id)
        );

        CREATE FUNCTION celery_schedule_facet(kind text, value text) RETURNS bigint
            LANGUAGE sql IMMUTABLE PARALLEL SAFE
            AS $$ SELECT hashtextextended(kind || '=' || value, 0) $$;

        CREATE FUNCTION celery_schedule_facets_of(task text, queue text, labels jsonb) RETURNS SETOF bigint
            LANGUAGE sql IMMUTABLE PARALLEL SAFE
            AS $$
                SELECT celery_schedule_facet('task', task)
                UNION ALL SELECT celery_schedule_facet('queue', queue)
                UNION ALL SELECT celery_schedule_facet('label ' || key, value)
                FROM jsonb_each_text(CASE jsonb_typeof(labels) WHEN 'object' THEN labels ELSE '{}' END)
                WHERE value IS NOT NULL
            $$;

        -- In the order of the index, and sorted in memory: there may be a million, by COPY.
        CREATE FUNCTION celery_schedules_facets_added() RETURNS trigger
            LANGUAGE plpgsql SET work_mem = '64MB' AS $$
        BEGIN
            INSERT INTO celery_schedule_facets
                SELECT facet, id FROM added, celery_schedule_facets_of(task, queue, labels) AS facet
                ORDER BY 1, 2
                ON CONFLICT DO NOTHING;
            RETURN NULL;
        END $$;

        CREATE FUNCTION celery_schedules_facets_removed() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            DELETE FROM celery_schedule_facets WHERE (facet, schedule_id) IN
                (SELECT celery_schedule_facets_of(task, queue, labels), id FROM removed);
            RETURN NULL;
        END $$;

        CREATE FUNCTION celery_schedules_facets_changed() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            DELETE FROM celery_schedule_facets
                WHERE schedule_id = OLD.id
                    AND facet IN (SELECT celery_schedule_facets_of(OLD.task, OLD.queue, OLD.labels));
            INSERT INTO celery_schedule_facets
                SELECT facet, NEW.id FROM celery_schedule_facets_of(NEW.task, NEW.queue, NEW.labels) AS facet
                ON CONFLICT DO NOTHING;
            RETURN NULL;
        END $$;

        CREATE FUNCTION celery_schedules_facets_emptied() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            TRUNCATE celery_schedule_facets;
            RETURN NULL;
        END $$;

        INSERT INTO celery_schedule_facets
            SELECT facet, id FROM celery_schedules, celery_schedule_facets_of(task, queue, labels) AS facet
            ORDER BY 1, 2
            ON CONFLICT DO NOTHING;

        CREATE TRIGGER facets_added AFTER INSERT ON celery_schedules
            REFERENCING NEW TABLE AS added
            FOR EACH STATEMENT EXECUTE FUNCTION celery_schedules_facets_added();
        CREATE TRIGGER facets_removed AFTER DELETE ON celery_schedules
            REFERENCING OLD TABLE AS removed
            FOR EACH STATEMENT EXECUTE FUNCTION celery_schedules_facets_removed();
        CREATE TRIGGER facets_changed AFTER UPDATE OF id, task, queue, labels ON celery_schedules
            FOR EACH ROW
            WHEN ((OLD.id, OLD.task, OLD.queue, OLD.labels) IS DISTINCT FROM
                (NEW.id, NEW.task, NEW.queue, NEW.labels))
            EXECUTE FUNCTION celery_schedules_facets_changed();
        CREATE TRIGGER facets_emptied AFTER TRUNCATE ON celery_schedules
            FOR EACH STATEMENT EXECUTE FUNCTION celery_schedules_facets_emptied();
        """
    )
    grant("scheduler", "celery_schedule_facets", "SELECT, INSERT, DELETE")
