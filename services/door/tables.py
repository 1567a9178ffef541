"""The door's tables: one-time links, and the second factors of people."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, Table, Text, text

from services.kernel.tables import Moment, new_metadata, outbox_table, required

metadata = new_metadata()

links = Table(
    "door_links",
    metadata,
    Column("key_hash", LargeBinary, primary_key=True),
    required("subject", Text),
    required("role", Text),
    required("made_by", Text),
    required("created_at", Moment),
    required("expires_at", Moment),
    Column("used_at", Moment),
    Index("door_links_expired", "expires_at"),
)

factors = Table(
    "door_factors",
    metadata,
    Column("subject", Text, primary_key=True),
    required("secret", Text),
    required("used_step", BigInteger, server_default=text("0")),
    required("failures", Integer, server_default=text("0")),
    Column("locked_until", Moment),
    required("enrolled_at", Moment),
)

outbox = outbox_table(metadata, "door")
