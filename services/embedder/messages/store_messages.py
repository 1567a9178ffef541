"""The SQL of messages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    RowMapping,
    Select,
    Text,
    any_,
    bindparam,
    delete,
    literal,
    select,
    text,
)
from sqlalchemy.ext.asyncio import AsyncSession

from services.embedder.messages.messages import Ingested, Message, MessageFilter, Role
from services.embedder.tables import embedding_errors, embeddings, messages
from services.kernel.errors import NotFound

c = messages.c
SHOWN = select(c.id, c.conversation, c.role, c.text, c.created_at)
BY_ID = SHOWN.order_by(c.id)
BY_IDS = SHOWN.where(c.id == any_(bindparam("ids", type_=ARRAY(Text))))
BY_WRITES = (
    SHOWN.add_columns(embeddings.c.write)
    .select_from(messages.join(embeddings, embeddings.c.message_id == c.id))
    .where(embeddings.c.write == any_(bindparam("writes", type_=ARRAY(BigInteger))))
)
# Deletes the vectors and errors of messages whose content has changed.
FORGET = tuple(
    delete(table).where(table.c.message_id == any_(bindparam("changed", type_=ARRAY(Text))))
    for table in (embeddings, embedding_errors)
)

# One statement for a batch. A message that is stored with the same content is not touched. `xmax = 0` is true
# for inserted rows and false for updated ones.
INGEST = """
    INSERT INTO chat_messages AS stored (id, conversation, role, text, content_hash, created_at)
    SELECT id, conversation, role, text, content_hash, coalesce(created_at, now())
    FROM unnest(
        CAST(:ids AS text[]), CAST(:conversations AS text[]), CAST(:roles AS text[]),
        CAST(:texts AS text[]), CAST(:hashes AS bytea[]), CAST(:times AS timestamptz[])
    ) AS arrived (id, conversation, role, text, content_hash, created_at)
    -- Two streams with the same messages lock them in one order.
    ORDER BY id
    ON CONFLICT (id) DO UPDATE SET
        conversation = excluded.conversation, role = excluded.role, text = excluded.text,
        content_hash = excluded.content_hash, created_at = excluded.created_at, ingested_at = now()
    WHERE (stored.conversation, stored.role, stored.content_hash)
            IS DISTINCT FROM (excluded.conversation, excluded.role, excluded.content_hash)
        OR (stored.created_at <> excluded.created_at AND stored.id = ANY(CAST(:timed AS text[])))
    RETURNING id, xmax = 0 AS created
"""


def listing(wanted: MessageFilter, after: str, most: int) -> Select[Any]:
    """Returns the query for messages with an id above `after`, ordered by id."""
    conditions = [c.id > after]
    if wanted.conversation:
        conditions.append(c.conversation == wanted.conversation)
    if wanted.roles:
        roles = sorted(role.value for role in wanted.roles)
        conditions.append(c.role == any_(literal(roles, ARRAY(Text))))
    return BY_ID.where(*conditions).limit(most)


class MessageStore:
    """Reads and writes messages, in one session."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def ingest(self, messages: Sequence[Message]) -> Ingested:
        """Stores the messages, whose ids must differ. Changed messages lose their vectors and errors."""
        values = {
            "ids": [message.id for message in messages],
            "conversations": [message.conversation for message in messages],
            "roles": [message.role.value for message in messages],
            "texts": [message.text for message in messages],
            "hashes": [message.content_hash for message in messages],
            "times": [message.created_at for message in messages],
            # Only these can change the stored time. Others keep the time of their first ingest.
            "timed": [message.id for message in messages if message.created_at],
        }
        rows = (await self._session.execute(text(INGEST), values)).all()
        changed = [row.id for row in rows if not row.created]
        for statement in FORGET:
            await self._session.execute(statement, {"changed": changed})
        return Ingested(len(rows) - len(changed), len(changed), len(messages) - len(rows))

    async def get(self, message_id: str) -> Message:
        found = await self.by_ids([message_id])
        if not found:
            raise NotFound("message", f"messages/{message_id}")
        return found[message_id]

    async def by_ids(self, ids: Sequence[str]) -> dict[str, Message]:
        """Returns the messages that exist, by id."""
        rows = await self._session.execute(BY_IDS, {"ids": list(ids)})
        return {row["id"]: _message_of(row) for row in rows.mappings()}

    async def by_writes(self, writes: Sequence[int]) -> dict[int, Message]:
        """Returns the messages of the vectors that were neither deleted nor overwritten, by their writes."""
        rows = await self._session.execute(BY_WRITES, {"writes": list(writes)})
        return {row["write"]: _message_of(row) for row in rows.mappings()}

    async def list(self, wanted: MessageFilter, after: str, most: int) -> Sequence[Message]:
        """Returns messages with an id above `after`, ordered by id."""
        rows = await self._session.execute(listing(wanted, after, most))
        return [_message_of(row) for row in rows.mappings()]

    async def delete(self, message_id: str) -> None:
        """Deletes the message with its vectors and errors. Raises `NotFound` if there is none."""
        deleted: Any = await self._session.execute(
            text("DELETE FROM chat_messages WHERE id = :id"), {"id": message_id}
        )
        if not deleted.rowcount:
            raise NotFound("message", f"messages/{message_id}")


def _message_of(row: RowMapping) -> Message:
    return Message(row["id"], row["conversation"], Role(row["role"]), row["text"], row["created_at"])
