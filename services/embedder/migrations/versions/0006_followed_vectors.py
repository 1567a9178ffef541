"""Vectors tell that they were written or deleted, and in which transaction: indexes follow them by it."""

from services.kernel.migrations import run_script

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    run_script(
        """
        -- In two steps: rows that are there keep NULL, so that the table is not written anew.
        ALTER TABLE chat_message_embeddings_1024 ADD COLUMN txid xid8;
        ALTER TABLE chat_message_embeddings_1024 ALTER txid SET DEFAULT pg_current_xact_id();
        CREATE INDEX chat_message_embeddings_1024_txids ON chat_message_embeddings_1024 (model, txid);

        CREATE FUNCTION chat_message_embeddings_written() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                NEW.txid := pg_current_xact_id();
                RETURN NEW;
            END
        $$;
        CREATE TRIGGER chat_message_embeddings_written BEFORE UPDATE ON chat_message_embeddings_1024
            FOR EACH ROW EXECUTE FUNCTION chat_message_embeddings_written();

        -- Statements that changed nothing tell nothing. One transaction tells the same once.
        CREATE FUNCTION chat_message_embeddings_told() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                IF EXISTS (SELECT FROM changed) THEN
                    PERFORM pg_notify('chat_message_embeddings', TG_OP);
                END IF;
                RETURN NULL;
            END
        $$;
        CREATE TRIGGER chat_message_embeddings_inserted AFTER INSERT ON chat_message_embeddings_1024
            REFERENCING NEW TABLE AS changed
            FOR EACH STATEMENT EXECUTE FUNCTION chat_message_embeddings_told();
        CREATE TRIGGER chat_message_embeddings_updated AFTER UPDATE ON chat_message_embeddings_1024
            REFERENCING NEW TABLE AS changed
            FOR EACH STATEMENT EXECUTE FUNCTION chat_message_embeddings_told();
        CREATE TRIGGER chat_message_embeddings_deleted AFTER DELETE ON chat_message_embeddings_1024
            REFERENCING OLD TABLE AS changed
            FOR EACH STATEMENT EXECUTE FUNCTION chat_message_embeddings_told();
        """
    )
