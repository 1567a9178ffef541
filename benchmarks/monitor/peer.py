"""Celery's own EventReceiver and State, which Flower and other monitors stand on, with room for as many
tasks; nothing is written anywhere: python -m benchmarks.monitor.peer

    host port

Prints and reads as `ours` does.
"""

from __future__ import annotations

import json
import resource
import sys
import threading
import time
from typing import Any

from celery import Celery
from celery.events.state import State

QUIET_SECONDS = 1.5


def main(host: str, port: int) -> None:
    app = Celery(broker=f"redis://{host}:{port}/0")
    state, heard = State(max_tasks_in_memory=100_000), [0]
    first, last = [0.0], [0.0]

    def on_event(event: dict[str, Any]) -> None:
        state.event(event)
        if event["type"].startswith("task-"):
            heard[0] += 1
            last[0] = time.monotonic()
            first[0] = first[0] or last[0]

    listening = threading.Event()

    def receive() -> None:
        while True:
            try:
                with app.connection() as connection:
                    receiver = app.events.Receiver(connection, handlers={"*": on_event})
                    with receiver.consumer_context(wakeup=False):
                        listening.set()
                        for _ in receiver.consume(limit=None, timeout=None, wakeup=False):
                            pass
            except Exception:  # as Flower does: begin again
                time.sleep(0.1)

    threading.Thread(target=receive, daemon=True).start()
    listening.wait()
    before = time.process_time()
    print("ready", flush=True)
    sys.stdin.readline()
    known = -1
    while heard[0] != known:
        known = heard[0]
        time.sleep(QUIET_SECONDS)
    counted = {
        "events": heard[0],
        "cpu": time.process_time() - before,
        "seconds": last[0] - first[0],
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    print(json.dumps(counted), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
