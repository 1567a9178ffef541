"""A stock Celery worker takes a sample of what was dispatched: messages that no worker runs don't count."""

from __future__ import annotations

import subprocess
import sys
import time

import redis

from benchmarks.servers import Servers

SAMPLE = 200
SECONDS = 60.0
WORKER = """
import sys
from celery import Celery
app = Celery("plain", broker=sys.argv[1], backend=sys.argv[1])

@app.task(name=sys.argv[3])
def count(number):
    return number

app.worker_main(["worker", "-Q", sys.argv[2], "-c", "1", "-P", "solo", "--loglevel=ERROR"])
"""


def run_sample(servers: Servers, queue: str, task: str) -> None:
    """Leaves `SAMPLE` messages on the queue, and waits until a worker has run them all, each once."""
    url = f"redis://{servers.redis_host}:{servers.redis_port}/0"
    with redis.Redis(servers.redis_host, servers.redis_port) as client:
        client.ltrim(queue, 0, SAMPLE - 1)
        worker = subprocess.Popen(
            [sys.executable, "-c", WORKER, url, queue, task],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            deadline = time.monotonic() + SECONDS
            while (ran := len(client.keys("celery-task-meta-*"))) < SAMPLE:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"a Celery worker ran {ran} of {SAMPLE} messages")
                time.sleep(0.1)
        finally:
            worker.terminate()
            worker.wait()
            client.flushdb()
