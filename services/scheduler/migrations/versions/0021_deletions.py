"""The etag of a difference takes in what was deleted: no difference creates a schedule a second time.

An etag was made of the request and of the schedules that there are. After a delete it was what it had been
before the create. Each deletion now leaves a mark under the schedule's id and under each of its labels, as
sets are pruned by a label. Marks are kept by hash in a fixed number of rows, so they need no cleaning; a
deletion elsewhere changes an etag for nothing in one case of a thousand. A mark is random: it does not come
again with a backup.
"""

from services.kernel.grants import grant
from services.kernel.migrations import run_script

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    run_script(
        """
        CREATE TABLE celery_schedule_deletions (
            bucket int PRIMARY KEY,
            mark uuid NOT NULL DEFAULT gen_random_uuid()
        );
        INSERT INTO celery_schedule_deletions (bucket) SELECT generate_series(0, 1023);

        CREATE FUNCTION celery_schedule_deletion_bucket(kind text, value text) RETURNS int
            LANGUAGE sql IMMUTABLE PARALLEL SAFE
            AS $$ SELECT (celery_schedule_facet(kind, value) & 1023)::int $$;

        -- Locked in the order of buckets, so that two deletions can't end in a deadlock.
        CREATE FUNCTION celery_schedules_deletion_marked() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            WITH locked AS MATERIALIZED (
                SELECT bucket FROM celery_schedule_deletions
                WHERE bucket IN (
                    SELECT celery_schedule_deletion_bucket('id', id) FROM gone
                    UNION
                    SELECT celery_schedule_deletion_bucket('label ' || key, value)
                    FROM gone,
                        jsonb_each_text(CASE jsonb_typeof(labels) WHEN 'object' THEN labels ELSE '{}' END)
                    WHERE value IS NOT NULL)
                ORDER BY bucket FOR UPDATE
            )
            UPDATE celery_schedule_deletions AS d SET mark = gen_random_uuid()
            FROM locked WHERE d.bucket = locked.bucket;
            RETURN NULL;
        END $$;
        CREATE FUNCTION celery_schedules_all_deletions_marked() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            UPDATE celery_schedule_deletions SET mark = gen_random_uuid();
            RETURN NULL;
        END $$;
        CREATE TRIGGER deletion_marked AFTER DELETE ON celery_schedules
            REFERENCING OLD TABLE AS gone
            FOR EACH STATEMENT EXECUTE FUNCTION celery_schedules_deletion_marked();
        CREATE TRIGGER all_deletions_marked AFTER TRUNCATE ON celery_schedules
            FOR EACH STATEMENT EXECUTE FUNCTION celery_schedules_all_deletions_marked();
        """
    )
    grant("scheduler", "celery_schedule_deletions", "SELECT, INSERT, UPDATE")
