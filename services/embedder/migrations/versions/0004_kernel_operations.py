"""The embedder's operations move to celery_operations, which the kernel has for all services.

Processes of the version before may run on for a while: they find the operations, and begin new ones, in the
view embedder_operations, and triggers count the messages of their chunks. The migration after this one drops
the view.
"""

from services.kernel.grants import grant
from services.kernel.migrations import run_script

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    run_script(
        """
        INSERT INTO celery_operations
            (id, owner, kind, state, total, done, failed, metadata, work, created_at, ended_at)
        SELECT id, 'embedder', kind, state, total, done, failed,
            jsonb_build_object(
                'force_rebuild', arguments -> 'force_rebuild', 'role', arguments -> 'user_role',
                'min_length', arguments -> 'min_length', 'model', 'models/' || model),
            concat_ws(' ', model, arguments ->> 'user_role', arguments ->> 'min_length',
                arguments ->> 'force_rebuild'),
            created_at, CASE WHEN state <> 'running' THEN coalesce(ended_at, created_at) END
        -- When the last chunk of a rebuild was done, the version before ended the operation in a transaction
        -- of its own: a process that died in between has left one that nothing would end any more.
        FROM (
            SELECT id, kind, arguments, model, created_at,
                CASE WHEN ended THEN 'done' ELSE state END AS state,
                CASE WHEN ended THEN now() ELSE ended_at END AS ended_at
            FROM embedder_operations, LATERAL (
                SELECT state = 'running' AND EXISTS (
                    SELECT FROM embedder_operation_chunks AS chunk
                    WHERE chunk.operation_id = embedder_operations.id
                ) AND NOT EXISTS (
                    SELECT FROM embedder_operation_chunks AS chunk
                    WHERE chunk.operation_id = embedder_operations.id AND chunk.state <> 'done'
                ) AS ended
            ) AS whether
        ) AS operation, LATERAL (
            SELECT coalesce(sum(cardinality(message_ids)), 0) AS total,
                coalesce(sum(cardinality(message_ids)) FILTER (WHERE chunk.state = 'done'), 0) AS done,
                coalesce(sum(chunk.failed), 0) AS failed
            FROM embedder_operation_chunks AS chunk WHERE chunk.operation_id = operation.id
        ) AS counts;

        ALTER TABLE embedder_operation_chunks
            DROP CONSTRAINT embedder_operation_chunks_operation_id_fkey,
            ADD CONSTRAINT embedder_operation_chunks_operation_id_fkey
                FOREIGN KEY (operation_id) REFERENCES celery_operations ON DELETE CASCADE;
        ALTER TABLE embedder_requests
            DROP CONSTRAINT embedder_requests_operation_id_fkey,
            ADD CONSTRAINT embedder_requests_operation_id_fkey
                FOREIGN KEY (operation_id) REFERENCES celery_operations ON DELETE CASCADE;
        DROP TABLE embedder_operations;

        CREATE VIEW embedder_operations AS
            SELECT id, kind,
                jsonb_build_object(
                    'force_rebuild', metadata -> 'force_rebuild', 'user_role', metadata -> 'role',
                    'min_length', metadata -> 'min_length') AS arguments,
                substr(metadata ->> 'model', 8) AS model, state, created_at, ended_at
            FROM celery_operations WHERE owner = 'embedder';
        CREATE FUNCTION embedder_operations_begun() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO celery_operations (owner, kind, metadata, work)
            VALUES ('embedder', NEW.kind,
                jsonb_build_object(
                    'force_rebuild', NEW.arguments -> 'force_rebuild', 'role', NEW.arguments -> 'user_role',
                    'min_length', NEW.arguments -> 'min_length', 'model', 'models/' || NEW.model),
                concat_ws(' ', NEW.model, NEW.arguments ->> 'user_role', NEW.arguments ->> 'min_length',
                    NEW.arguments ->> 'force_rebuild'))
            ON CONFLICT (owner, kind, work) WHERE state = 'running' DO NOTHING
            RETURNING id INTO NEW.id;
            RETURN CASE WHEN NEW.id IS NULL THEN NULL ELSE NEW END;
        END $$;
        CREATE TRIGGER begun INSTEAD OF INSERT ON embedder_operations
            FOR EACH ROW EXECUTE FUNCTION embedder_operations_begun();

        CREATE FUNCTION embedder_operation_chunks_planned() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            UPDATE celery_operations AS operation SET total = operation.total + planned.messages
            FROM (
                SELECT operation_id, sum(cardinality(message_ids)) AS messages FROM fresh GROUP BY 1
            ) AS planned
            WHERE operation.id = planned.operation_id;
            RETURN NULL;
        END $$;
        CREATE TRIGGER planned AFTER INSERT ON embedder_operation_chunks REFERENCING NEW TABLE AS fresh
            FOR EACH STATEMENT EXECUTE FUNCTION embedder_operation_chunks_planned();

        -- In the transaction that stores the vectors of the chunk, once, however often the chunk comes.
        CREATE FUNCTION embedder_operation_chunks_done() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM celery_operation_advance(NEW.operation_id, cardinality(NEW.message_ids), NEW.failed);
            RETURN NULL;
        END $$;
        CREATE TRIGGER done AFTER UPDATE OF state ON embedder_operation_chunks
            FOR EACH ROW WHEN (OLD.state <> 'done' AND NEW.state = 'done')
            EXECUTE FUNCTION embedder_operation_chunks_done();
        """
    )
    grant("embedder", "embedder_operations", "SELECT, INSERT, UPDATE, DELETE")
