"""Facets of many schedules at once: written without looking for each whether it is there.

`ON CONFLICT DO NOTHING` looks into the index twice for each row, and writes to the log twice. It took almost
half of what the facets of a COPY took, for rows that were left behind, or two facets of a schedule with one
hash: both are rare. So many are inserted as if there were none such, and again by the careful way when there
are.
"""

from services.kernel.migrations import run_script

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    run_script(
        """
        CREATE OR REPLACE FUNCTION celery_schedules_facets_added() RETURNS trigger
            LANGUAGE plpgsql SET work_mem = '64MB' AS $$
        BEGIN
            -- Not for few: the block is a subtransaction, and a transaction of many short statements, as a
            -- set of schedules is, would have more of them than other sessions can look through quickly.
            IF EXISTS (SELECT FROM added OFFSET 1000) THEN
                BEGIN
                    INSERT INTO celery_schedule_facets
                        SELECT facet, id FROM added, celery_schedule_facets_of(task, queue, labels) AS facet
                        ORDER BY 1, 2;
                    RETURN NULL;
                EXCEPTION WHEN unique_violation THEN
                    NULL;
                END;
            END IF;
            -- In the order of the index, and sorted in memory, here as above: there may be a million.
            INSERT INTO celery_schedule_facets
                SELECT facet, id FROM added, celery_schedule_facets_of(task, queue, labels) AS facet
                ORDER BY 1, 2
                ON CONFLICT DO NOTHING;
            RETURN NULL;
        END $$;
        """
    )
