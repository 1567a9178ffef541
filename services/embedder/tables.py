"""The embedder's tables: messages, their vectors, chunks of operations, and clusters of questions."""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
    REAL,
    BigInteger,
    Boolean,
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

from services.kernel.tables import (
    Moment,
    TransactionId,
    check,
    new_metadata,
    operations,
    outbox_table,
    required,
)

metadata = new_metadata()

# Compared as bytes, not by the database's collation.
MessageId = Text(collation="C")


def of_message() -> Column[str]:
    """Returns the key column of a table whose rows belong to a message and are deleted with it."""
    key = ForeignKey("chat_messages.id", ondelete="CASCADE")
    return Column("message_id", MessageId, key, primary_key=True)


messages = Table(
    "chat_messages",
    metadata,
    Column("id", MessageId, primary_key=True),
    required("conversation", Text),
    required("role", Text),
    required("text", Text),
    # SHA-256 of the text. It shows whether a vector was made from the current text of the message.
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
    # 1024 little-endian float32 values, as bytes: not every managed PostgreSQL has pgvector.
    required("vector", LargeBinary),
    # A new number at each write. By it a search index notices that its copy of the vector is out of date.
    required(
        "write", BigInteger, unique=True, server_default=text("nextval('chat_message_embeddings_writes')")
    ),
    # The transaction of that write: what an index reads when it catches up. NULL before version 0.3.
    Column("txid", TransactionId, server_default=text("pg_current_xact_id()")),
    check("chat_message_embeddings_1024_vector_check", "octet_length(vector) = 4096"),
    Index("chat_message_embeddings_1024_writes", "model", "write"),
    Index("chat_message_embeddings_1024_txids", "model", "txid"),
)

embedding_errors = Table(
    "chat_message_embedding_errors",
    metadata,
    of_message(),
    Column("model", Text, primary_key=True),
    required("error", Text),
    required("failed_at", Moment, server_default=text("now()")),
)

chunks = Table(
    "embedder_operation_chunks",
    metadata,
    Column("operation_id", Uuid, ForeignKey(operations.c.id, ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    required("message_ids", ARRAY(Text)),
    required("state", Text, server_default="waiting"),
    required("failed", Integer, server_default=text("0")),
    # How often it was taken and then neither finished nor given back, because its worker died.
    required("deaths", Integer, server_default=text("0")),
    # When its message was last put on the queue; NULL: not yet.
    Column("sent_at", Moment),
    check("embedder_operation_chunks_state_check", "state IN ('waiting', 'taken', 'done')"),
    Index(
        "embedder_operation_chunks_open", "operation_id", "number", postgresql_where=text("state <> 'done'")
    ),
)


def of_cluster(*, primary_key: bool) -> Column[int]:
    """Returns the column with the id of a cluster; its rows are deleted with the cluster."""
    key = ForeignKey("question_clusters.id", ondelete="CASCADE")
    return Column("cluster_id", Integer, key, primary_key=primary_key, nullable=False)


# Requests that began an operation, by the ids that their callers gave them.
requests = Table(
    "embedder_requests",
    metadata,
    # Where the id is unique, for example "EmbedMessages".
    Column("scope", Text, primary_key=True),
    Column("request_id", Text, primary_key=True),
    # SHA-256 of the caller and the request.
    required("digest", LargeBinary),
    # NULL only within the transaction that begins the operation.
    Column("operation_id", Uuid, ForeignKey(operations.c.id, ondelete="CASCADE")),
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
    # Given by a person; empty: none.
    required("name", Text, server_default=""),
    required("named_by", Text, server_default=""),
    # The message whose text is the title. A trigger empties the title when that is deleted or changed.
    Column("medoid", MessageId, ForeignKey("chat_messages.id", ondelete="SET NULL")),
    # Little-endian float32 values; NULL in a row of the version before.
    Column("centroid", LargeBinary),
    # The least cosine to the centroid at which a new question is assigned.
    required("least", REAL, server_default=text("2")),
    # Questions by language.
    required("languages", JSONB, server_default=text("'{}'")),
    required("first_seen_at", Moment, server_default=text("now()")),
    Index("question_clusters_medoid", "medoid"),
)

# Questions that are in no cluster.
ungrouped = Table(
    "question_ungrouped",
    metadata,
    of_message(),
    required("kind", Text),
    check("question_ungrouped_kind_check", "kind IN ('noise', 'talk')"),
)

# The last analysis: at most one row.
analysis = Table(
    "question_analysis",
    metadata,
    Column("single", Boolean, primary_key=True, server_default=text("true")),
    required("model", Text),
    required("way", Text),
    required("questions", Integer),
    # The means by which vectors are centred: as many rows of float32 values as there are scripts.
    required("scripts", ARRAY(Text)),
    required("means", LargeBinary),
    # The highest id that a cluster ever had.
    required("last_id", Integer),
    # Rises with every change of clusters, members and names: by it cached answers are known to be old.
    required("revision", BigInteger),
    # The number of the last write of a vector that was assigned.
    required("assigned_through", BigInteger),
    required("analysed_at", Moment, server_default=text("now()")),
    check("question_analysis_single_check", "single"),
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
