"""Messages, their vectors, and operations on them."""

from services.kernel.grants import grant, grant_sequence
from services.kernel.migrations import create_outbox, run_script

revision = "0001"
down_revision = None


def upgrade() -> None:
    run_script(
        """
        CREATE TABLE chat_messages (
            id text COLLATE "C" PRIMARY KEY,
            conversation text NOT NULL,
            role text NOT NULL CHECK (role IN ('user', 'assistant')),
            text text NOT NULL,
            -- SHA-256 of the text: a vector belongs to a text, not to a name.
            content_hash bytea NOT NULL,
            created_at timestamptz NOT NULL,
            ingested_at timestamptz NOT NULL DEFAULT now()
        );
        CREATE INDEX chat_messages_conversation ON chat_messages (conversation, id);

        CREATE SEQUENCE chat_message_embeddings_writes;
        CREATE TABLE chat_message_embeddings_1024 (
            message_id text COLLATE "C" NOT NULL REFERENCES chat_messages ON DELETE CASCADE,
            model text NOT NULL,
            -- 1024 little-endian float32: pgvector is not on every managed server.
            vector bytea NOT NULL CHECK (octet_length(vector) = 4096),
            -- A new number at each write: who holds a copy sees by it that the vector is another one.
            write bigint NOT NULL UNIQUE DEFAULT nextval('chat_message_embeddings_writes'),
            PRIMARY KEY (message_id, model)
        );
        ALTER TABLE chat_message_embeddings_1024 ALTER vector SET STORAGE EXTERNAL;
        CREATE INDEX chat_message_embeddings_1024_writes ON chat_message_embeddings_1024 (model, write);

        CREATE TABLE chat_message_embedding_errors (
            message_id text COLLATE "C" NOT NULL REFERENCES chat_messages ON DELETE CASCADE,
            model text NOT NULL,
            error text NOT NULL,
            failed_at timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (message_id, model)
        );

        CREATE TABLE embedder_operations (
            id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
            kind text NOT NULL,
            arguments jsonb NOT NULL,
            model text NOT NULL,
            state text NOT NULL DEFAULT 'running',
            created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
            ended_at timestamptz
        );
        CREATE INDEX embedder_operations_newest ON embedder_operations (created_at DESC, id DESC);
        -- The same work is not begun twice at a time.
        CREATE UNIQUE INDEX embedder_operations_running ON embedder_operations (kind, arguments, model)
            WHERE state = 'running';

        CREATE TABLE embedder_operation_chunks (
            operation_id uuid NOT NULL REFERENCES embedder_operations ON DELETE CASCADE,
            number integer NOT NULL,
            message_ids text[] NOT NULL,
            state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'taken', 'done')),
            failed integer NOT NULL DEFAULT 0,
            -- How often it was taken and neither finished nor given back: its worker died.
            deaths integer NOT NULL DEFAULT 0,
            -- When its message was last put on the queue; null: not yet.
            sent_at timestamptz,
            PRIMARY KEY (operation_id, number)
        );
        CREATE INDEX embedder_operation_chunks_open ON embedder_operation_chunks (operation_id, number)
            WHERE state <> 'done';
        """
    )
    tables = (
        "chat_messages, chat_message_embeddings_1024, chat_message_embedding_errors,"
        " embedder_operations, embedder_operation_chunks"
    )
    grant("embedder", tables, "SELECT, INSERT, UPDATE, DELETE")
    grant_sequence("embedder", "chat_message_embeddings_writes")
    create_outbox("embedder")
