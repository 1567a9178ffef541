"""What was counted in a time: numbers by what they count.

("events", "", "")                  also "refused", "cuts", "missing", "lost" of the events, and "gaps"
("tasks", queue, state)             tasks of the queue that came into the state
("names", task, "succeeded")        also "failed" and "retried": tasks of the registered name
("runtimes", queue, "5")            tries of the queue's tasks in the bucket of that number
("runtimes", queue, "seconds")      how long all of them ran
("repaired", source, "")            tasks put right after a gap, by "results" or "workers"; "": by nothing
("queue_waits", queue, "5")         tries in the bucket of that number by how long their messages were in the
                                    queue; "seconds", how long all of them were
("worker_waits", queue, "5")        the same of how long tries waited in their worker until they were started
("kinds", kind, state)              tasks of the kind (kinds.py) that came into the state
("kind_runtimes", kind, "5")        those that succeeded, by how long they ran; "seconds", how long all did
("kind_failures", kind, exception)  those that failed, by the type of the exception
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

Key: TypeAlias = tuple[str, str, str]
Tally: TypeAlias = dict[Key, float]

EVENTS: Key = ("events", "", "")
REFUSED: Key = ("refused", "", "")
CUTS: Key = ("cuts", "", "")
MISSING: Key = ("missing", "", "")
LOST: Key = ("lost", "", "")
GAPS: Key = ("gaps", "", "")
TASKS, NAMES, RUNTIMES, REPAIRED = "tasks", "names", "runtimes", "repaired"
QUEUE_WAITS, WORKER_WAITS = "queue_waits", "worker_waits"
KINDS, KIND_RUNTIMES, KIND_FAILURES = "kinds", "kind_runtimes", "kind_failures"
OF_KINDS = frozenset({KINDS, KIND_RUNTIMES, KIND_FAILURES})
SECONDS = "seconds"
BY_RESULTS, BY_WORKERS, BY_NOTHING = "results", "workers", ""
# Names beyond this number are counted together as "other", so that the number of names can't fill the memory.
MOST_NAMES = 1_000
MOST_QUEUES = 200
OTHER = "other"
DURATION_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 600, 1800)
SUCCEEDED, FAILED, RETRIED = "succeeded", "failed", "retried"


class NamedCounts(NamedTuple):
    """How many tasks of one registered name ended so, or were retried."""

    succeeded: int
    failed: int
    retried: int


def add(to: Tally, more: Tally) -> None:
    for key, count in more.items():
        to[key] = to.get(key, 0) + count
