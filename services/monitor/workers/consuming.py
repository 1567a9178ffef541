"""Which worker consumes which queue, how it is told to stop that, and how to go on: for pauses and halts.

Celery keeps the options of a queue (priority, arguments) in the worker while it does not consume it; a worker
that never had the queue is told its exchange and routing key with it. To tell a worker twice changes nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from services.monitor.tasks.names import WorkerName
from services.monitor.workers.answers import MOST_MESSAGE, Outcome, read_done
from services.monitor.workers.control import Control, Reply

LATER = "no answer in time; it is told again as soon as it is heard"


class Consumer(NamedTuple):
    """A worker that consumes, or consumed, a queue. Empty texts: not known."""

    worker: WorkerName
    queue: str
    exchange: str = ""
    exchange_type: str = ""
    routing_key: str = ""


async def consumers_of(
    control: Control, workers: Sequence[WorkerName]
) -> tuple[Sequence[Consumer], Sequence[WorkerName]]:
    """Asks the workers what they consume. Returns that, and those that gave no answer.

    Raises `Unavailable` while the broker is away.
    """
    if not workers:
        return [], []
    answers = await control.ask("active_queues", workers=workers)
    found = [
        consumer
        for name in workers
        for said in answers.get(name.hostname, [])
        for consumer in consumers_in(said, name)
    ]
    return list(dict.fromkeys(found)), [name for name in workers if name.hostname not in answers]


async def cancel(control: Control, consumers: Sequence[Consumer]) -> Mapping[Consumer, Reply]:
    """Tells workers to stop consuming: what they have taken already they still run."""
    alike = [({"queue": queue}, each) for queue, each in _grouped(consumers, lambda each: each.queue).items()]
    return await _told(control, "cancel_consumer", alike)


async def bring_back(control: Control, consumers: Sequence[Consumer]) -> Mapping[Consumer, Reply]:
    """Tells workers to consume again."""
    alike = []
    for (queue, exchange, kind, key), each in _grouped(consumers, lambda each: each[1:]).items():
        arguments = {
            "queue": queue,
            "exchange": exchange or None,
            "exchange_type": kind or None,
            "routing_key": key or None,
        }
        alike.append((arguments, each))
    return await _told(control, "add_consumer", alike)


async def _told(
    control: Control, command: str, alike: Sequence[tuple[Mapping[str, Any], Sequence[Consumer]]]
) -> Mapping[Consumer, Reply]:
    """Sends a command for each queue, with its arguments, to its consumers.

    Who hangs is waited for once, and not for each queue: the rest it finds in its mailbox.
    """
    replies: dict[Consumer, Reply] = {}
    silent: set[str] = set()
    if len(alike) > 1:
        workers = sorted({each.worker for _, consumers in alike for each in consumers}, key=str)
        silent = {worker.hostname for worker in workers} - set(await control.ask("ping", workers=workers))
    for arguments, consumers in alike:
        asked = [each.worker for each in consumers if each.worker.hostname not in silent]
        hanging = [each.worker for each in consumers if each.worker.hostname in silent]
        answers = await control.ask(command, arguments, asked) if asked else {}
        if hanging:
            await control.tell(command, hanging, arguments)
        silent |= {worker.hostname for worker in asked if worker.hostname not in answers}
        replies |= {each: reply_of(each.worker, answers.get(each.worker.hostname)) for each in consumers}
    return replies


def by_worker(replies: Mapping[Consumer, Reply]) -> Sequence[Reply]:
    """Returns one reply for each worker, by name: the worst of its queues, with the words of all."""
    found: defaultdict[WorkerName, list[Reply]] = defaultdict(list)
    for consumer, reply in replies.items():
        found[consumer.worker].append(reply)
    joined = []
    for worker, each in sorted(found.items(), key=lambda item: str(item[0])):
        bad = [reply.outcome for reply in each if reply.outcome is not Outcome.DONE]
        words = "; ".join(dict.fromkeys(reply.message for reply in each))[:MOST_MESSAGE]
        joined.append(Reply(worker, bad[0] if bad else Outcome.DONE, words))
    return joined


def _grouped(consumers: Iterable[Consumer], key: Any) -> Mapping[Any, Sequence[Consumer]]:
    """`key`: Any, as what consumers are grouped by is a queue, or a queue with its options."""
    found: defaultdict[Any, list[Consumer]] = defaultdict(list)
    for each in consumers:
        found[key(each)].append(each)
    return found


def consumers_in(said: Any, worker: WorkerName) -> Sequence[Consumer]:
    """Anything may answer in a worker's place: what has not the form of an answer is passed over."""
    found = []
    for each in said if isinstance(said, list) else ():
        name = each.get("name") if isinstance(each, Mapping) else None
        if isinstance(name, str) and name:
            told = each.get("exchange")
            exchange = told if isinstance(told, Mapping) else {}
            texts = exchange.get("name"), exchange.get("type"), each.get("routing_key")
            found.append(Consumer(worker, name, *(text if isinstance(text, str) else "" for text in texts)))
    return found


def reply_of(worker: WorkerName, said: Sequence[Any] | None) -> Reply:
    """Returns the worker's reply to a command about a queue; its first answer counts."""
    if not said:
        return Reply(worker, Outcome.NO_ANSWER, LATER)
    return Reply(worker, *read_done(said[0]))
