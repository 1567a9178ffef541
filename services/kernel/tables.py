"""What the tables of all services have in common, as SQLAlchemy Core metadata.

Each service's `tables.py` describes the tables that its migrations create; statements that are composed of
filters, pages and orders are built on it (docs/decisions/kernel-sql.md). Migrations are written in SQL, and
nothing here changes a table.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Column, DateTime, Identity, LargeBinary, MetaData, Table
from sqlalchemy.types import TypeEngine

# The names that PostgreSQL gives to constraints that are created without a name.
NAMES = {
    "pk": "%(table_name)s_pkey",
    "fk": "%(table_name)s_%(column_0_name)s_fkey",
    "uq": "%(table_name)s_%(column_0_N_name)s_key",
}
Moment = DateTime(timezone=True)


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
