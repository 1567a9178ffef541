"""Workers that are played: they take messages off queues, and each task goes on for its time."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import redis

from tests.chaos.cluster import Broker

TAKEN = "chaos:taken"
IDLE_SECONDS = 0.02
AT_ONCE = 20
# How long a task takes to die.
KILL_SECONDS = 0.2


def lists_of(queue: str) -> list[str]:
    """As kombu has it: a list for each step of priorities."""
    return [queue, *(f"{queue}\x06\x16{step}" for step in (3, 6, 9))]


def ids_of(messages: Sequence[bytes]) -> list[str]:
    return [json.loads(message)["headers"]["id"] for message in messages]


@dataclass
class Work:
    """A task that was taken: from when until when it goes on, in Unix seconds."""

    task_id: str
    began: float
    ends: float
    revoked: bool = False

    def has_ended(self) -> bool:
        return self.ends <= time.time()


class Workers(threading.Thread):
    """`lasts` tells the seconds that a task goes on for."""

    def __init__(self, broker: Broker, queue: str, lasts: Callable[[str], float] = lambda _: 0.0) -> None:
        super().__init__(name=f"workers of {queue}", daemon=True)
        # In the order in which they were taken; a message that comes twice is here twice.
        self.works: list[Work] = []
        self._latest: dict[str, Work] = {}
        self._revoked: set[str] = set()
        self._lock = threading.Lock()
        self._broker = broker
        self._lists = lists_of(queue)
        self._lasts = lasts
        self._is_noted = False
        self._going, self._resting, self._ended = threading.Event(), threading.Event(), False
        self._going.set()

    @property
    def received(self) -> list[str]:
        with self._lock:
            return [work.task_id for work in self.works]

    def run(self) -> None:
        with self._broker.client() as client:
            while not self._ended:
                if not self._going.is_set():
                    self._resting.set()
                    self._going.wait()
                    continue
                try:
                    count = self._take(client)
                except redis.exceptions.RedisError:
                    count = 0
                if not count:
                    time.sleep(IDLE_SECONDS)

    def _take(self, client: redis.Redis) -> int:
        """Each step may be done again, so that nothing is lost with an answer that never came."""
        if self._is_noted:
            client.delete(TAKEN)
            self._is_noted = False
        with client.pipeline(transaction=False) as pipeline:
            for name in self._lists:
                for _ in range(AT_ONCE):
                    pipeline.lmove(name, TAKEN, "RIGHT", "RIGHT")
            pipeline.lrange(TAKEN, 0, -1)
            messages = pipeline.execute()[-1]
        self._note(ids_of(messages))
        self._is_noted = bool(messages)
        return len(messages)

    def _note(self, task_ids: Sequence[str]) -> None:
        now = time.time()
        with self._lock:
            for task_id in task_ids:
                is_revoked = task_id in self._revoked
                work = Work(task_id, now, now if is_revoked else now + self._lasts(task_id), is_revoked)
                self.works.append(work)
                self._latest[task_id] = work

    def work(self, task_id: str) -> Work | None:
        """The latest of a task's id."""
        with self._lock:
            return self._latest.get(task_id)

    def revoke(self, task_id: str) -> bool:
        """Kills the task, or drops it when it comes; False when it has ended."""
        with self._lock:
            work = self._latest.get(task_id)
            if work is None:
                self._revoked.add(task_id)
            elif work.has_ended():
                return False
            elif not work.revoked:
                work.ends, work.revoked = min(work.ends, time.time() + KILL_SECONDS), True
            return True

    def rest(self) -> None:
        """Returns when nothing is being taken any more."""
        self._resting.clear()
        self._going.clear()
        assert self._resting.wait(10)

    def go_on(self) -> None:
        self._going.set()

    def end(self) -> None:
        self._ended = True
        self._going.set()
        self.join(10)
