"""Converts queues, their messages, purges and pauses to the messages of the contract, and reads requests."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from celeriac.monitor.v1 import queues_pb2 as pb
from celeriac.monitor.v1 import tasks_pb2

from services.kernel.grpc.wire import duration, timestamp
from services.kernel.validation import Faults
from services.monitor.api import references
from services.monitor.api.convert import queue_to, worker_name
from services.monitor.messages import moving, purging
from services.monitor.messages.envelope import MOST_TEXT, Message
from services.monitor.messages.overview import SeenQueue
from services.monitor.messages.purging import Purge, Wish
from services.monitor.tasks.names import WorkerName
from services.monitor.workers.store_pauses import Pause

MOST_CONSUMERS = 100
MOST_PEEKED, PEEKED = 500, 20
PURGE = "purges/5d41402abc4b2a76b9719d911017c592"


def seen_queue_to(seen: SeenQueue) -> pb.Queue:
    message = queue_to(seen.queue)
    message.consumers.extend(worker_name(each) for each in seen.told[:MOST_CONSUMERS])
    if seen.all_told:
        message.consumer_count = len(seen.told)
    message.MergeFrom(pb.Queue(oldest_sent_time=timestamp(seen.oldest_sent_at)))
    if seen.flow is not None:
        message.arrivals_per_second = seen.flow.arrivals
        message.deliveries_per_second = seen.flow.deliveries
        message.MergeFrom(pb.Queue(time_to_empty=duration(seen.flow.time_to_empty)))
    if seen.pause is not None:
        message.pause.CopyFrom(pause_to(seen.pause))
    return message


def pause_to(pause: Pause) -> pb.QueuePause:
    return pb.QueuePause(pause_time=timestamp(pause.at), subject=pause.subject, reason=pause.reason)


def message_to(message: Message, redacted: Callable[[str], str]) -> pb.QueueMessage:
    return pb.QueueMessage(
        task=f"tasks/{message.task_id}" if message.task_id else "",
        task_name=message.task,
        etag=message.etag,
        priority=message.priority,
        eta=timestamp(message.eta),
        expires=timestamp(message.expires),
        retries=message.retries,
        size_bytes=message.size,
        args=_cut(redacted(message.args)),
        kwargs=_cut(redacted(message.kwargs)),
        redelivered=message.redelivered,
    )


def purge_to(purge: Purge) -> pb.Purge:
    return pb.Purge(
        name=f"purges/{purge.id}" if purge.id else "",
        queue=f"queues/{purge.queue}",
        purged_count=purge.count,
        by_priority=[pb.PriorityLength(priority=step, length=count) for step, count in purge.counts],
        size_bytes=purge.bytes,
        purge_time=timestamp(purge.at),
        expire_time=timestamp(purge.expires_at),
        subject=purge.subject,
    )


def untold(workers: Sequence[WorkerName]) -> list[tasks_pb2.WorkerReply]:
    """Returns replies of workers that would be told, without an outcome."""
    return [tasks_pb2.WorkerReply(worker=worker_name(worker)) for worker in workers]


def queue_in(name: str) -> str:
    """Returns the queue in "queues/{name}". Raises `Invalid`."""
    faults = Faults()
    queue = references.checked_queue(name, "name", faults)
    faults.raise_any()
    return queue


def purge_in(name: str) -> str:
    """Returns the id in "purges/{id}". Raises `Invalid`."""
    faults = Faults()
    purge_id = references.checked_purge(name, "name", faults, PURGE)
    faults.raise_any()
    return purge_id


def peek_in(request: pb.PeekQueueRequest) -> tuple[str, int]:
    """Returns the queue, and how many messages are wanted. Raises `Invalid`."""
    faults = Faults()
    queue = references.checked_queue(request.name, "name", faults)
    _count(request.count, MOST_PEEKED, faults, "50")
    faults.raise_any()
    return queue, request.count or PEEKED


def deletion_in(request: pb.DeleteQueueMessageRequest) -> tuple[str, str]:
    """Returns the queue, and the id of the task. Raises `Invalid`."""
    faults = Faults()
    queue = references.checked_queue(request.name, "name", faults)
    task_id = references.checked_task_id(request.task, "task", faults)
    faults.text("etag", request.etag, "9f86d081884c7d659a2feaa0c55ad015", most=64, required=False)
    faults.raise_any()
    return queue, task_id


def move_in(request: pb.MoveMessagesRequest) -> tuple[str, str, int, Callable[[str, str], bool]]:
    """Returns both queues, how many messages, and which, by id and name of the task. Raises `Invalid`."""
    faults = Faults()
    source = references.checked_queue(request.name, "name", faults)
    destination = references.used_queue_in(request.destination_queue, "destination_queue", faults)
    fault = f"is {destination[:100]!r}, the queue that the messages are in"
    faults.unless(not destination or destination != source, "destination_queue", fault, "queues/maintenance")
    _count(request.count, moving.MOST, faults, "100")
    names = frozenset(references.task_names_in(request, faults))
    ids = frozenset(references.tasks_in(request, faults))
    faults.raise_any()

    def wanted(task_id: str, name: str) -> bool:
        return (not names or name in names) and (not ids or task_id in ids)

    return source, destination, request.count or moving.MOST, wanted


def wish_in(request: pb.PurgeQueueRequest, faults: Faults) -> Wish:
    queue = references.checked_queue(request.name, "name", faults)
    expected = request.expected_length
    fault = f"is {expected}, and must be the length of the queue that you saw, 1 or more"
    faults.unless(expected >= 1, "expected_length", fault, "120")
    _count(request.count, purging.MOST_COUNT, faults, "100")
    return Wish(
        queue,
        expected,
        request.allow_newer,
        request.count,
        not request.without_undo,
        request.validate_only,
    )


def pause_in(request: pb.PauseQueueRequest) -> tuple[str, str]:
    """Returns the queue, and the reason. Raises `Invalid`."""
    faults = Faults()
    queue = references.checked_queue(request.name, "name", faults)
    faults.text("reason", request.reason, "the mail server is being mended", most=500, required=False)
    faults.raise_any()
    return queue, request.reason


def _count(count: int, most: int, faults: Faults, example: str) -> None:
    faults.unless(0 <= count <= most, "count", f"is {count}, not between 1 and {most}", example)


def _cut(text: str) -> str:
    return text if len(text) <= MOST_TEXT else text[: MOST_TEXT - 1] + "…"
