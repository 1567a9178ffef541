"""The embedder's tables: messages, their vectors, the long work on them, and what people ask."""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Column,
    Date,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Sequence,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from services.kernel.tables import Moment, check, new_metadata, outbox_table, required

metadata = new_metadata()

# Compared as bytes, whatever the database's language.
MessageId = Text(collation="C")


def of_message() -> Column[str]:
    """The id of a message, as a key of what belongs to it and goes when it is deleted."""
    key = ForeignKey("chat_messages.id", ondelete="CASCADE")
    return Column("message_id", MessageId, key, primary_key=True)


messages = Table(
    "chat_messages",
    metadata,
    Column("id", MessageId, primary_key=True),
    required("conversation", Text),
    required("role", Text),
    required("text", Text),
    # SHA-256 of the text: a vector belongs to a text, not to a message id.
    required("content_hash", LargeBinary),
    required("created_at", Moment),
    required("ingested_at", Moment, server_default=text("now()")),
    check("chat_messages_role_check", "role IN ('user', 'assistant')"),
    Index("chat_messages_conversation", "conversation", "id"),
)

writes = Sequence("chat_message_embeddings_writes", metadata=metadata)

embeddings = Table(
    "chat_message_embeddings_1024",
    metadata,
    of_message(),
    Column("model", Text, primary_key=True),
    # 1024 little-endian float32: pgvector is not on every managed server.
    required("vector", LargeBinary),
    # A new number at each write: who holds a copy sees by it that the vector is another one.
    required(
        "write", BigInteger, unique=True, server_default=text("nextval('chat_message_embeddings_writes')")
    ),
    check("chat_message_embeddings_1024_vector_check", "octet_length(vector) = 4096"),
    Index("chat_message_embeddings_1024_writes", "model", "write"),
)

embedding_errors = Table(
    "chat_message_embedding_errors",
    metadata,
    of_message(),
    Column("model", Text, primary_key=True),
    required("error", Text),
    required("failed_at", Moment, server_default=text("now()")),
)

operations = Table(
    "embedder_operations",
    metadata,
    Column("id", Uuid, primary_key=True, server_default=text("gen_random_uuid()")),
    required("kind", Text),
    required("arguments", JSONB),
    required("model", Text),
    required("state", Text, server_default="running"),
    required("created_at", Moment, server_default=text("clock_timestamp()")),
    Column("ended_at", Moment),
    Index("embedder_operations_newest", text("created_at DESC"), text("id DESC")),
    # The same work is not begun twice at a time.
    Index(
        "embedder_operations_running",
        "kind",
        "arguments",
        "model",
        unique=True,
        postgresql_where=text("state = 'running'"),
    ),
)

chunks = Table(
    "embedder_operation_chunks",
    metadata,
    Column("operation_id", Uuid, ForeignKey("embedder_operations.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    required("message_ids", ARRAY(Text)),
    required("state", Text, server_default="waiting"),
    required("failed", Integer, server_default=text("0")),
    # How often it was taken and neither finished nor given back: its worker died.
    required("deaths", Integer, server_default=text("0")),
    # When its message was last put on the queue; NULL: not yet.
    Column("sent_at", Moment),
    check("embedder_operation_chunks_state_check", "state IN ('waiting', 'taken', 'done')"),
    Index(
        "embedder_operation_chunks_open", "operation_id", "number", postgresql_where=text("state <> 'done'")
    ),
)


def of_cluster(*, primary_key: bool) -> Column[int]:
    """The id of a cluster: what belongs to it goes when it is deleted."""
    key = ForeignKey("question_clusters.id", ondelete="CASCADE")
    return Column("cluster_id", Integer, key, primary_key=primary_key, nullable=False)


# Requests that began an operation, by the ids that their callers gave them.
requests = Table(
    "embedder_requests",
    metadata,
    # What the id counts in: "EmbedMessages".
    Column("scope", Text, primary_key=True),
    Column("request_id", Text, primary_key=True),
    # SHA-256 of the caller and the request.
    required("digest", LargeBinary),
    # NULL within the transaction that begins it.
    Column("operation_id", Uuid, ForeignKey("embedder_operations.id", ondelete="CASCADE")),
    Index("embedder_requests_operation", "operation_id"),
)

clusters = Table(
    "question_clusters",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    required("model", Text),
    required("title", Text),
    required("keywords", ARRAY(Text)),
    required("size", Integer),
    required("analysed_at", Moment, server_default=text("now()")),
)

cluster_members = Table(
    "question_cluster_members",
    metadata,
    of_cluster(primary_key=False),
    of_message(),
    Index("question_cluster_members_cluster", "cluster_id"),
)

questions_daily = Table(
    "question_stats_daily",
    metadata,
    Column("day", Date, primary_key=True),
    of_cluster(primary_key=True),
    required("questions", Integer),
)

outbox = outbox_table(metadata, "embedder")
