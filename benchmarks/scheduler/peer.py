"""django-celery-beat's dispatch rate: `celery beat` as a process, on the given servers."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import redis

from benchmarks.servers import Servers

QUEUE = "peer"
START_SECONDS = 60.0


def rate(servers: Servers, entries: int) -> float:
    """Messages a second, from the first to the last of `entries` that are all due when it starts.

    Its start, its reading of the entries and its writing back of `last_run_at` are not counted.
    """
    environment = {
        **os.environ,
        "BENCH_DATABASE_URL": servers.database_url,
        "BENCH_QUEUE": QUEUE,
        "BENCH_BROKER_URL": f"redis://{servers.redis_host}:{servers.redis_port}/0",
    }
    module = "benchmarks.scheduler.peer_app"
    subprocess.run([sys.executable, "-m", module, str(entries)], env=environment, check=True)
    command = [sys.executable, "-m", "celery", "-A", module, "beat", "--loglevel=ERROR"]
    command += ["--pidfile=", "--schedule=/dev/null"]
    with redis.Redis(servers.redis_host, servers.redis_port) as client:
        client.delete(QUEUE)
        beat = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
        try:
            first, before = _wait_for(client, 1)
            last, sent = _wait_for(client, entries)
        finally:
            beat.kill()
            beat.wait()
            client.delete(QUEUE)
    return (sent - before) / (last - first)


def _wait_for(client: redis.Redis, count: int) -> tuple[float, int]:
    """(moment, messages there) once there are at least `count`."""
    deadline = time.monotonic() + START_SECONDS + count / 10
    while time.monotonic() < deadline:
        sent = int(client.llen(QUEUE))
        if sent >= count:
            return time.monotonic(), sent
        time.sleep(0.01)
    raise TimeoutError(f"celery beat did not send {count} messages")
