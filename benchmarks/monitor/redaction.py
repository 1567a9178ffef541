"""What the redaction of secrets costs an event: python -m benchmarks.monitor.redaction [share]

Tasks are sent, received, started and ended, a twentieth of them with an exception; each has other arguments
and another result. A share of them has a secret in its arguments: 0 if it is not given, 0.02 for 2 %. Prints
one line of JSON: CPU time in microseconds an event for decoding alone, for the redaction beside it, and
characters an event.
"""

from __future__ import annotations

import gc
import json
import random
import statistics
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import orjson

from benchmarks.monitor.generator import message
from services.monitor.intake.events import decode
from services.monitor.tasks.redaction import FIELDS, Redaction

TASKS, ROUNDS = 10_000, 7
# So many tasks are sent before the first of them is received.
WAITING = 100
WORDS = ["report", "customer", "invoice", "region", "quarter", "figures", "summary", "language", "chat"]


def words(count: int) -> str:
    return " ".join(random.choices(WORDS, k=count))


def failure(number: int) -> dict[str, str]:
    def called(depth: int) -> None:
        if depth:
            called(depth - 1)
        raise ValueError(f"no such document {number}")

    try:
        called(8)
    except ValueError as error:
        return {"exception": repr(error), "traceback": traceback.format_exc()}
    raise AssertionError


def events_of(number: int, share: float) -> Iterator[dict[str, Any]]:
    """The events of one task: sent, received, started, ended."""
    base = {"uuid": f"{number:036}", "hostname": "celery@worker", "pid": 7, "clock": number, "utcoffset": -8}
    base["timestamp"] = 1_790_000_000.0 + number
    path = f"customers/{random.randrange(10**6)}/{words(3)}.pdf"
    keywords: dict[str, Any] = {"chat": random.randrange(10**5), "force": False, "title": words(6)}
    if random.random() < share:
        keywords["api_key"] = "x" * 20
    keywords["created"] = "2026-11-30T07:41:15.123456+00:00"
    texts = {"args": repr((path, random.randrange(10**6), base["timestamp"])), "kwargs": repr(keywords)}
    yield {**base, "type": "task-sent", "name": "platform.tasks.job", "routing_key": "queue", **texts}
    yield {**base, "type": "task-received", "name": "platform.tasks.job", **texts}
    yield {**base, "type": "task-started"}
    if number % 20 == 0:
        yield {**base, "type": "task-failed", **failure(number)}
    else:
        result = repr({"pages": random.randrange(99), "text": words(12)})
        yield {**base, "type": "task-succeeded", "result": result, "runtime": 0.1}


def messages(share: float) -> list[bytes]:
    """Two events in each, as prefork workers publish them."""
    tasks = [list(events_of(number, share)) for number in range(TASKS)]
    order = [task[0] for task in tasks[:WAITING]]
    for number, task in enumerate(tasks):
        order += [each[0] for each in tasks[number + WAITING : number + WAITING + 1]]
        order += task[1:]
    return [message(order[at : at + 2]) for at in range(0, len(order), 2)]


def microseconds(published: list[bytes], take: Callable[[dict[str, Any]], None]) -> float:
    before = time.process_time()
    for each in published:
        for event in decode(each)[0]:
            take(event)
    return (time.process_time() - before) / (TASKS * 4) * 1e6


def redacting() -> Callable[[dict[str, Any]], None]:
    redaction = Redaction()
    return lambda event: redaction.event(event["type"], event)


def main(share: float) -> None:
    random.seed(1)
    published = messages(share)
    gc.collect()
    gc.freeze()
    rounds = [
        (microseconds(published, lambda event: None), microseconds(published, redacting()))
        for _ in range(ROUNDS)
    ]
    texts = [orjson.dumps(event.get(field)) for each in published for event in decode(each)[0]
             for field in FIELDS.get(event["type"], ())]  # fmt: skip
    told = {
        "decoding_us": statistics.median(alone for alone, _ in rounds),
        "redaction_us": statistics.median(both - alone for alone, both in rounds),
        "characters": sum(map(len, texts)) / (TASKS * 4),
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 0.0)
