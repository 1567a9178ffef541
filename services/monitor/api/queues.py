"""The servicer of QueueService."""

from __future__ import annotations

import datetime as dt

from celeriac.monitor.v1 import queues_pb2 as pb
from celeriac.monitor.v1 import queues_pb2_grpc

from services.kernel.grpc.wire import Context, once_in
from services.kernel.identity import current_subject
from services.kernel.validation import Faults
from services.monitor.api import convert_queues as convert
from services.monitor.api.convert import reply_to
from services.monitor.api.pages import page_by_name
from services.monitor.messages.moving import Moves
from services.monitor.messages.overview import Overview
from services.monitor.messages.purging import Purges
from services.monitor.messages.waiting_messages import WaitingMessages
from services.monitor.tasks.redaction import Redaction
from services.monitor.workers.pauses import Pauses
from services.monitor.workers.store_pauses import Pause


class QueueApi(queues_pb2_grpc.QueueServiceServicer):
    def __init__(
        self,
        overview: Overview,
        messages: WaitingMessages,
        moves: Moves,
        purges: Purges,
        pauses: Pauses,
        redaction: Redaction,
    ) -> None:
        self._overview = overview
        self._messages = messages
        self._moves = moves
        self._purges = purges
        self._pauses = pauses
        self._redaction = redaction

    async def GetQueue(self, request: pb.GetQueueRequest, context: Context) -> pb.GetQueueResponse:
        [seen] = await self._overview.seen([await self._overview.find(convert.queue_in(request.name))])
        return pb.GetQueueResponse(queue=convert.seen_queue_to(seen))

    async def ListQueues(self, request: pb.ListQueuesRequest, context: Context) -> pb.ListQueuesResponse:
        page, token = page_by_name(request, await self._overview.all(), lambda queue: queue.name)
        seen = await self._overview.seen(page)
        return pb.ListQueuesResponse(queues=map(convert.seen_queue_to, seen), next_page_token=token)

    async def PeekQueue(self, request: pb.PeekQueueRequest, context: Context) -> pb.PeekQueueResponse:
        name, count = convert.peek_in(request)
        queue = await self._overview.find(name)
        found = await self._messages.first(name, count)
        messages = [convert.message_to(each, self._redaction.argument) for each in found]
        return pb.PeekQueueResponse(messages=messages, length=queue.length)

    async def DeleteQueueMessage(
        self, request: pb.DeleteQueueMessageRequest, context: Context
    ) -> pb.DeleteQueueMessageResponse:
        queue, task_id = convert.deletion_in(request)
        deleted = await self._messages.delete(queue, task_id, request.etag, only_look=request.validate_only)
        return pb.DeleteQueueMessageResponse(deleted=convert.message_to(deleted, self._redaction.argument))

    async def MoveMessages(
        self, request: pb.MoveMessagesRequest, context: Context
    ) -> pb.MoveMessagesResponse:
        source, destination, most, wanted = convert.move_in(request)
        await self._overview.find(source)
        await self._overview.find(destination)
        moved = await self._moves.move(source, destination, most, wanted, only_count=request.validate_only)
        return pb.MoveMessagesResponse(moved_count=moved.count, complete=moved.complete)

    async def PurgeQueue(self, request: pb.PurgeQueueRequest, context: Context) -> pb.PurgeQueueResponse:
        faults = Faults()
        wish = convert.wish_in(request, faults)
        once = once_in(request, faults, f"PurgeQueue of {request.name}")
        faults.raise_any()
        await self._overview.find(wish.queue)
        purge = await self._purges.purge(wish, current_subject(), once)
        return pb.PurgeQueueResponse(purge=convert.purge_to(purge))

    async def ListPurges(self, request: pb.ListPurgesRequest, context: Context) -> pb.ListPurgesResponse:
        page, token = page_by_name(request, await self._purges.all(), lambda purge: purge.place)
        return pb.ListPurgesResponse(purges=map(convert.purge_to, page), next_page_token=token)

    async def UndoPurge(self, request: pb.UndoPurgeRequest, context: Context) -> pb.UndoPurgeResponse:
        purge_id = convert.purge_in(request.name)
        purge = await self._purges.get(purge_id)
        count = purge.count if request.validate_only else await self._purges.undo(purge)
        return pb.UndoPurgeResponse(restored_count=count, queue=f"queues/{purge.queue}")

    async def PauseQueue(self, request: pb.PauseQueueRequest, context: Context) -> pb.PauseQueueResponse:
        queue, reason = convert.pause_in(request)
        await self._overview.find(queue)
        if request.validate_only:
            would = await self._pauses.would_pause(queue)
            return pb.PauseQueueResponse(replies=convert.untold(would))
        pause = Pause(queue, dt.datetime.now(dt.UTC), current_subject(), reason)
        held, replies = await self._pauses.pause(pause)
        return pb.PauseQueueResponse(pause=convert.pause_to(held), replies=map(reply_to, replies))

    async def ResumeQueue(self, request: pb.ResumeQueueRequest, context: Context) -> pb.ResumeQueueResponse:
        queue = convert.queue_in(request.name)
        if request.validate_only:
            would = await self._pauses.would_resume(queue)
            return pb.ResumeQueueResponse(replies=convert.untold(would))
        return pb.ResumeQueueResponse(replies=map(reply_to, await self._pauses.resume(queue)))
