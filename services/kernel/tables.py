"""The kernel's table, and what the tables of all services have in common, as SQLAlchemy Core metadata.

Each service's `tables.py` describes the tables that its migrations create; statements that are composed of
filters, pages and orders are built on it (docs/decisions/kernel-sql.md). Migrations are written in SQL, and
nothing here changes a table.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Double,
    Identity,
    Index,
    LargeBinary,
    MetaData,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeEngine, UserDefinedType

# The names that PostgreSQL gives to constraints that are created without a name.
NAMES = {
    "pk": "%(table_name)s_pkey",
    "fk": "%(table_name)s_%(column_0_name)s_fkey",
    "uq": "%(table_name)s_%(column_0_N_name)s_key",
}
Moment = DateTime(timezone=True)


class TransactionId(UserDefinedType[Any]):
    """PostgreSQL's xid8."""

    cache_ok = True

    def get_col_spec(self, **_options: Any) -> str:
        return "xid8"


def new_metadata() -> MetaData:
    """Returns empty metadata for the tables of one service."""
    return MetaData(naming_convention=NAMES)


def required(
    name: str, kind: TypeEngine[Any] | type[TypeEngine[Any]], *more: Any, **options: Any
) -> Column[Any]:
    """A column that is NOT NULL."""
    return Column(name, kind, *more, nullable=False, **options)


def check(name: str, condition: str) -> CheckConstraint:
    """A CHECK constraint under its name in the database."""
    return CheckConstraint(condition, name=name)


def outbox_table(metadata: MetaData, service: str) -> Table:
    """The table of the service's audit outbox, as `services.kernel.migrations.create_outbox` creates it."""
    return Table(
        f"audit_outbox_{service}",
        metadata,
        Column("seq", BigInteger, Identity(always=True), primary_key=True),
        required("entry", LargeBinary),
    )


metadata = new_metadata()

# Tokens that are not taken though their time is not over. The audit service writes them.
revocations = Table(
    "celeriac_revocations",
    metadata,
    Column("id", Uuid, primary_key=True, server_default=text("gen_random_uuid()")),
    # One of these is set: the id of one token, or the subject of all tokens issued until `created_at`.
    Column("token_id", Text),
    Column("subject", Text),
    required("created_at", Moment, server_default=text("clock_timestamp()")),
    required("expires_at", Moment),
    required("actor", Text),
    required("reason", Text, server_default=""),
    check("celeriac_revocations_check", "(token_id IS NULL) <> (subject IS NULL)"),
    Index("celeriac_revocations_newest", text("created_at DESC"), text("id DESC")),
    Index("celeriac_revocations_expired", "expires_at"),
)

# What processes tell of themselves (services.kernel.self_report). Row security lets each service write its
# own rows.
self_reports = Table(
    "celeriac_self_reports",
    metadata,
    Column("service", Text, primary_key=True),
    # A process of the service.
    Column("instance", Uuid, primary_key=True),
    Column("measure", Text, primary_key=True),
    Column("subject", Text, primary_key=True),
    required("value", Double),
    required("told_at", Moment, server_default=text("clock_timestamp()")),
)

# Long work of any service (services.kernel.operations). Row security lets each service write its own rows.
operations = Table(
    "celery_operations",
    metadata,
    Column("id", Uuid, primary_key=True, server_default=text("gen_random_uuid()")),
    # The service that does the work.
    required("owner", Text),
    required("kind", Text),
    required("state", Text, server_default="running"),
    # Units of work: in all, finished (the failed ones among them), failed.
    required("total", BigInteger, server_default=text("0")),
    required("done", BigInteger, server_default=text("0")),
    required("failed", BigInteger, server_default=text("0")),
    # What was asked for.
    required("metadata", JSONB, server_default=text("'{}'")),
    # The name of the resource that stands for the work; empty: none.
    required("resource", Text, server_default=""),
    # Who asked for it; empty: not known.
    required("actor", Text, server_default=""),
    # Why it was cancelled.
    required("note", Text, server_default=""),
    # Two operations of an owner with the same work can't run at the same time. NULL: they can.
    Column("work", Text),
    required("created_at", Moment, server_default=text("clock_timestamp()")),
    required("updated_at", Moment, server_default=text("clock_timestamp()")),
    Column("ended_at", Moment),
    Column("cancel_requested_at", Moment),
    Column("cancel_requested_by", Text),
    # The last sign of life of a process that does the work.
    required("owner_seen_at", Moment, server_default=text("clock_timestamp()")),
    # The transaction that changed it last: by it a reader finds what it has not seen.
    required("txid", TransactionId, server_default=text("pg_current_xact_id()")),
    check("celery_operations_state_check", "state IN ('running', 'done', 'cancelled')"),
    check("celery_operations_check", "(state = 'running') = (ended_at IS NULL)"),
    Index("celery_operations_newest", text("created_at DESC"), text("id DESC")),
    Index(
        "celery_operations_running",
        text("created_at DESC"),
        text("id DESC"),
        postgresql_where=text("state = 'running'"),
    ),
    Index("celery_operations_ended", "owner", "ended_at"),
    Index("celery_operations_changed", "txid"),
    Index(
        "celery_operations_work",
        "owner",
        "kind",
        "work",
        unique=True,
        postgresql_where=text("state = 'running'"),
    ),
)
