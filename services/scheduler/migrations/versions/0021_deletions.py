"""The etag of a difference takes in what was deleted: no difference creates a schedule a second time.

An etag was made of the request and of the schedules that there are. After a delete it was what it had been
before the create. Each deletion now leaves a row under a hash of the schedule's id, and one under a hash of
each of its labels, as sets are pruned by a label. Rows are only added, so that deletions do not wait for each
other. When old ones are removed, the mark of the row with bucket -1 is changed: a count of rows never means
two things. A deletion elsewhere changes an etag for nothing in one case of a thousand. A mark is random: it
does not come again with a backup.
"""

from services.kernel.grants import grant
from services.kernel.migrations import run_script

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    run_script(
        """
        CREATE TABLE celery_schedule_deletions (
            seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            bucket int NOT NULL,
            mark uuid NOT NULL DEFAULT gen_random_uuid(),
            deleted_at timestamptz NOT NULL DEFAULT now()
        );
        CREATE INDEX celery_schedule_deletions_bucket ON celery_schedule_deletions (bucket, seq);
        CREATE INDEX celery_schedule_deletions_age ON celery_schedule_deletions (deleted_at);
        INSERT INTO celery_schedule_deletions (bucket) VALUES (-1);

        CREATE FUNCTION celery_schedule_deletion_bucket(kind text, value text) RETURNS int
            LANGUAGE sql IMMUTABLE PARALLEL SAFE
            AS $$ SELECT (celery_schedule_facet(kind, value) & 1023)::int $$;

        CREATE FUNCTION celery_schedules_deletion_marked() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO celery_schedule_deletions (bucket)
            SELECT celery_schedule_deletion_bucket('id', id) FROM gone
            UNION
            SELECT celery_schedule_deletion_bucket('label ' || key, value)
            FROM gone,
                jsonb_each_text(CASE jsonb_typeof(labels) WHEN 'object' THEN labels ELSE '{}' END)
            WHERE value IS NOT NULL;
            RETURN NULL;
        END $$;
        CREATE FUNCTION celery_schedules_all_deletions_marked() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            UPDATE celery_schedule_deletions SET mark = gen_random_uuid() WHERE bucket = -1;
            RETURN NULL;
        END $$;
        CREATE TRIGGER deletion_marked AFTER DELETE ON celery_schedules
            REFERENCING OLD TABLE AS gone
            FOR EACH STATEMENT EXECUTE FUNCTION celery_schedules_deletion_marked();
        CREATE TRIGGER all_deletions_marked AFTER TRUNCATE ON celery_schedules
            FOR EACH STATEMENT EXECUTE FUNCTION celery_schedules_all_deletions_marked();
        """
    )
    grant("scheduler", "celery_schedule_deletions", "SELECT, INSERT, UPDATE, DELETE")
