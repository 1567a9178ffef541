"""Publishes the events of a busy platform at a steady rate: python -m benchmarks.monitor.generator

    host port events-a-second seconds

Each task is sent, received 20 ms later, started, and ends 100 ms after that: 3 % are tried again once, 5 %
fail with a traceback, the others succeed. Ten workers publish their events in pairs, as measured of real
prefork workers (1.4 kB a message), and a heartbeat each 2 s that tells how many tasks they started. Prints
what it published as one line of JSON, and before that a line when it begins and one when it has ended. When
it can't keep the rate it says so in `seconds`.
"""

from __future__ import annotations

import base64
import json
import os
import socket
import sys
import threading
import time
import uuid
from collections import deque
from typing import Any

import orjson

TICK = 0.01
WORKERS = 10
RECEIVED, STARTED, ENDED = 2, 3, 13  # ticks after it was sent
# Of 256 tasks.
RETRIED, FAILED = 8, 13
EVENTS_A_TASK = 4 * (1 + RETRIED / 256)
FRAME = (
    '  File "/srv/platform/tasks.py", line 218, in rebuild\n    vectors = client.embed(texts, timeout=30)\n'
)
TRACEBACK = (
    f"Traceback (most recent call last):\n{FRAME * 12}requests.exceptions.ReadTimeout: HTTPConnectionPool("
    "host='models.internal', port=8080): Read timed out. (read timeout=30)\n"
)
EXCEPTION = "ReadTimeout(\"HTTPConnectionPool(host='models.internal', port=8080): Read timed out.\")"
CHANNEL = b"/0.celeryev/task.multi"
PADDING = "x" * 190
TAIL = (
    b'", "content-encoding": "utf-8", "content-type": "application/json", "headers": {"hostname": '
    b'"celery@worker"}, "properties": {"delivery_mode": 1, "delivery_info": {"exchange": "celeryev", '
    b'"routing_key": "task.multi"}, "priority": 0, "body_encoding": "base64", "delivery_tag": '
    b'"6f0e6fcd-0a5e-4d2f-8d0b-7f9c24e8b1aa"}}'
)


def message(events: list[dict[str, Any]]) -> bytes:
    """Events in kombu's envelope."""
    return b'{"body": "' + base64.b64encode(orjson.dumps(events)) + TAIL


class Platform:
    """Makes the events of one tick after another."""

    def __init__(self, tasks_a_tick: float) -> None:
        self._tasks_a_tick = tasks_a_tick
        self._owed = 0.0
        self._cohorts: deque[list[str]] = deque(maxlen=ENDED + 1)
        self._again: list[str] = []
        self._tried: set[str] = set()
        self._started = [0] * WORKERS
        self.tasks = self.events = 0

    def tick(self, sending: bool) -> list[bytes]:
        """The messages of 10 ms."""
        self._owed += self._tasks_a_tick if sending else 0
        count = int(self._owed)
        self._owed -= count
        cohort = [str(uuid.UUID(bytes=os.urandom(16), version=4)) for _ in range(count)]
        self.tasks += count
        cohort += self._again
        self._again = []
        self._cohorts.appendleft(cohort)
        now = time.time()
        events = [self._sent(task_id, now) for task_id in cohort]
        for age, make in ((RECEIVED, self._received), (STARTED, self._start), (ENDED, self._ended)):
            if len(self._cohorts) > age:
                events += [make(task_id, now) for task_id in self._cohorts[age]]
        self.events += len(events)
        return [message(events[at : at + 2]) for at in range(0, len(events), 2)]

    def heartbeats(self) -> list[bytes]:
        return [
            message([self._worker(number, time.time(), "worker-heartbeat") | {
                "freq": 2.0, "active": 4, "processed": self._started[number], "loadavg": [0.5, 0.4, 0.3],
                "sw_ident": "py-celery", "sw_ver": "5.7.0", "sw_sys": "Linux",
            }])
            for number in range(WORKERS)
        ]  # fmt: skip

    def _worker(self, number: int, now: float, kind: str) -> dict[str, Any]:
        return {
            "hostname": f"celery@worker-{number}",
            "utcoffset": -8,
            "pid": 1000 + number,
            "clock": self.events,
            "timestamp": now,
            "type": kind,
        }

    def _of(self, task_id: str, now: float, kind: str) -> dict[str, Any]:
        return self._worker(int(task_id[0], 16) % WORKERS, now, kind) | {"uuid": task_id}

    def _ended(self, task_id: str, now: float) -> dict[str, Any]:
        lot = int(task_id[-2:], 16)
        if lot < RETRIED and task_id not in self._tried:
            self._tried.add(task_id)
            self._again.append(task_id)
            return self._of(task_id, now, "task-retried") | {"exception": EXCEPTION, "traceback": TRACEBACK}
        self._tried.discard(task_id)
        if lot >= 256 - FAILED:
            return self._of(task_id, now, "task-failed") | {"exception": EXCEPTION, "traceback": TRACEBACK}
        return self._of(task_id, now, "task-succeeded") | {"result": repr(PADDING), "runtime": 0.1}

    def _details(self, task_id: str) -> dict[str, Any]:
        return {
            "name": f"platform.tasks.job_{int(task_id[1], 16)}",
            "args": f"({PADDING!r},)",
            "kwargs": "{'chat': 17, 'force': False}",
            "root_id": task_id,
            "parent_id": None,
            "retries": int(task_id in self._tried),
            "eta": None,
            "expires": None,
        }

    def _sent(self, task_id: str, now: float) -> dict[str, Any]:
        queue = f"queue_{int(task_id[2], 16) % 4}"
        sender = {"hostname": "gen1@sender", "queue": queue, "exchange": "", "routing_key": queue}
        return self._of(task_id, now, "task-sent") | self._details(task_id) | sender

    def _received(self, task_id: str, now: float) -> dict[str, Any]:
        return self._of(task_id, now, "task-received") | self._details(task_id)

    def _start(self, task_id: str, now: float) -> dict[str, Any]:
        self._started[int(task_id[0], 16) % WORKERS] += 1
        return self._of(task_id, now, "task-started")


class Publisher:
    """PUBLISH without waiting for each answer; answers are read by a thread and thrown away."""

    def __init__(self, host: str, port: int) -> None:
        self._socket = socket.create_connection((host, port))
        threading.Thread(target=self._drain, daemon=True).start()
        self.bytes = 0

    def _drain(self) -> None:
        while self._socket.recv(1 << 20):
            pass

    def publish(self, messages: list[bytes]) -> None:
        head = b"*3\r\n$7\r\nPUBLISH\r\n$%d\r\n%s\r\n" % (len(CHANNEL), CHANNEL)
        self.bytes += sum(map(len, messages))
        self._socket.sendall(b"".join(b"%s$%d\r\n%s\r\n" % (head, len(each), each) for each in messages))


def main(host: str, port: int, rate: float, seconds: float) -> None:
    platform, publisher = Platform(rate / EVENTS_A_TASK * TICK), Publisher(host, port)
    publisher.publish(platform.heartbeats())
    print("publishing", flush=True)
    start, beaten = time.monotonic(), 0.0
    ticks = int(seconds / TICK)
    # The last tasks are tried again once.
    for number in range(ticks + 2 * (ENDED + 1)):
        time.sleep(max(0.0, start + number * TICK - time.monotonic()))
        publisher.publish(platform.tick(sending=number < ticks))
        if number * TICK - beaten >= 2.0:
            beaten = number * TICK
            publisher.publish(platform.heartbeats())
    took = time.monotonic() - start
    print("published", flush=True)
    for _ in range(2):
        time.sleep(0.2)
        publisher.publish(platform.heartbeats())
    published = {"events": platform.events, "tasks": platform.tasks, "seconds": took}
    print(json.dumps(published | {"bytes_an_event": publisher.bytes / platform.events}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4]))
