"""The audit service's tables: the log and its checkpoints. Their rows are never changed or deleted."""

from __future__ import annotations

from sqlalchemy import ARRAY, BigInteger, Column, Double, Index, LargeBinary, Table, Text, Uuid, text
from sqlalchemy import UniqueConstraint as Unique

from services.kernel.tables import Moment, new_metadata, outbox_table, required

metadata = new_metadata()

# An event has one or two entries: its intent and later its outcome, or its refusal alone. The indexes hold
# the entry that stands for the event. PostgreSQL uses them only if the statement has the same condition as
# a constant, not as a parameter.
STANDS_FOR_EVENT = text("kind <> 'outcome'")

logs = Table(
    "celery_audit_logs",
    metadata,
    Column("index", BigInteger, primary_key=True, autoincrement=False),
    required("event_id", Uuid),
    required("kind", Text),
    required("time", Moment),
    required("actor", Text),
    required("role", Text),
    required("issuer", Text),
    required("method", Text),
    required("resource", Text),
    required("code", Text),
    required("message", Text),
    required("address", Text),
    required("user_agent", Text),
    required("request_id", Text),
    Column("duration_ms", Double),
    required("leaf_hash", LargeBinary),
    required("body", LargeBinary),
    Unique("event_id", "kind"),
    Index("celery_audit_logs_events", text("index DESC"), postgresql_where=STANDS_FOR_EVENT),
    Index("celery_audit_logs_actor", "actor", text("index DESC"), postgresql_where=STANDS_FOR_EVENT),
    Index("celery_audit_logs_method", "method", text("index DESC"), postgresql_where=STANDS_FOR_EVENT),
    Index("celery_audit_logs_resource", "resource", text("index DESC"), postgresql_where=STANDS_FOR_EVENT),
    # The resources of answers.
    Index(
        "celery_audit_logs_result",
        "resource",
        text("index DESC"),
        postgresql_where=text("kind = 'outcome' AND resource <> ''"),
    ),
    Index("celery_audit_logs_time", "time", postgresql_where=STANDS_FOR_EVENT),
)

checkpoints = Table(
    "celery_audit_checkpoints",
    metadata,
    Column("size", BigInteger, primary_key=True, autoincrement=False),
    required("root", LargeBinary),
    required("frontier", ARRAY(LargeBinary)),
    required("note", Text),
    required("time", Moment, server_default=text("now()")),
)

outbox = outbox_table(metadata, "audit")
