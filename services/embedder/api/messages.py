"""The servicer of MessageService."""

from __future__ import annotations

from collections.abc import AsyncIterator

from celeriac.embedder.v1 import messages_pb2 as pb
from celeriac.embedder.v1 import messages_pb2_grpc

from services.embedder.api import convert
from services.embedder.bulk.plan import Rebuilds
from services.embedder.bulk.rebuild import Rebuild
from services.embedder.messages.messages import Ingested, Message, Role
from services.embedder.messages.store_messages import MessageStore
from services.kernel.grpc.operations import operation_to
from services.kernel.grpc.wire import Context, once_in
from services.kernel.identity import current_subject
from services.kernel.once import Once
from services.kernel.pages import decode_last, encode_last, next_page_token, page_size
from services.kernel.sessions import Sessions
from services.kernel.stored_operations import OperationStore
from services.kernel.validation import Faults

MOST_IN_A_REQUEST = 5000
SHORTEST = 5
LONGEST_MINIMUM = 1000


class MessageApi(messages_pb2_grpc.MessageServiceServicer):
    def __init__(self, sessions: Sessions, rebuilds: Rebuilds) -> None:
        self._sessions = sessions
        self._rebuilds = rebuilds

    async def IngestMessages(
        self, request_iterator: AsyncIterator[pb.IngestMessagesRequest], context: Context
    ) -> pb.IngestMessagesResponse:
        total, number = Ingested(), 0
        async for request in request_iterator:
            messages = _messages_in(request, number)
            async with self._sessions.transaction() as session:
                total += await MessageStore(session).ingest(messages)
            total += Ingested(duplicates=len(request.messages) - len(messages))
            number += 1
        return pb.IngestMessagesResponse(
            created=total.created,
            changed=total.changed,
            unchanged=total.unchanged,
            duplicates=total.duplicates,
        )

    async def GetMessage(self, request: pb.GetMessageRequest, context: Context) -> pb.GetMessageResponse:
        async with self._sessions.reading() as session:
            message = await MessageStore(session).get(_id(request.name))
        return pb.GetMessageResponse(message=convert.message_to(message))

    async def ListMessages(
        self, request: pb.ListMessagesRequest, context: Context
    ) -> pb.ListMessagesResponse:
        faults, size = Faults(), page_size(request.page_size)
        wanted = convert.list_filter(request, faults)
        faults.raise_any()
        after = decode_last(request.page_token)
        async with self._sessions.reading() as session:
            found = await MessageStore(session).list(wanted, after, size + 1)
        return pb.ListMessagesResponse(
            messages=map(convert.message_to, found[:size]),
            next_page_token=next_page_token(found, size, lambda last: encode_last(last.id)),
        )

    async def DeleteMessage(
        self, request: pb.DeleteMessageRequest, context: Context
    ) -> pb.DeleteMessageResponse:
        async with self._sessions.transaction() as session:
            await MessageStore(session).delete(_id(request.name))
        return pb.DeleteMessageResponse()

    async def EmbedMessages(
        self, request: pb.EmbedMessagesRequest, context: Context
    ) -> pb.EmbedMessagesResponse:
        wanted, once = _rebuild_in(request)
        operation_id = await self._rebuilds.begin(wanted, current_subject(), once)
        async with self._sessions.reading() as session:
            operation = await OperationStore(session).get(operation_id)
        return pb.EmbedMessagesResponse(operation=operation_to(operation))


def _id(name: str) -> str:
    faults = Faults()
    found = convert.message_id(name, faults)
    faults.raise_any()
    return found


def _messages_in(request: pb.IngestMessagesRequest, number: int) -> list[Message]:
    """Returns the messages; of two with the same name, the later. Raises `Invalid` with all faults."""
    faults, prefix, count = Faults(), f"requests[{number}].messages", len(request.messages)
    faults.unless(count <= MOST_IN_A_REQUEST, prefix, f"are {count}, at most 5000 are allowed", "500")
    faults.raise_any()
    messages = [
        convert.message_from(message, f"{prefix}[{index}]", faults)
        for index, message in enumerate(request.messages)
    ]
    faults.raise_any()
    return list({message.id: message for message in messages}.values())


def _rebuild_in(request: pb.EmbedMessagesRequest) -> tuple[Rebuild, Once | None]:
    faults = Faults()
    role = convert.role_in(request.role, faults) or Role.USER
    length = request.min_length if request.HasField("min_length") else SHORTEST
    fault = f"is {length}, it must be 0 to {LONGEST_MINIMUM}"
    faults.unless(0 <= length <= LONGEST_MINIMUM, "min_length", fault, "5")
    once = once_in(request, faults, "EmbedMessages")
    faults.raise_any()
    return Rebuild(request.force_rebuild, role.value, length), once
