"""The peers, measured: each one's real `celery beat` as a process, on the given servers."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import redis
from sqlalchemy.engine import make_url

from benchmarks.scheduler.measuring import LOOK_SECONDS, TooSlow, cpu_seconds, full_minute, resident_mb
from benchmarks.scheduler.peers.entries import QUEUE, Entries
from benchmarks.servers import Servers

ROOT = Path(__file__).parents[3]
START_SECONDS = 60.0
# A beat has started when it has worked this long, and then, for two looks in a row, does next to nothing.
STARTED_CPU_SECONDS = 0.3
REST_SECONDS = 0.5
RESTING_CPU_SECONDS = 0.1
ATTEMPTS = 3


class FullMinute(NamedTuple):
    """How a full minute went. A message that did not come counts as late by the whole window."""

    # Seconds from the full minute to each message on the queue.
    lateness: list[float]
    sent: int
    # Resident just before, with all entries and nothing to do.
    memory_mb: float

    @property
    def rate(self) -> float:
        """Messages a second, from the full minute to the last one that came within the window."""
        return self.sent / max(self.lateness)


@dataclass(frozen=True)
class Beat:
    """One of the peers. `module`: its application, in this package."""

    name: str
    module: str
    # Where its entries are; without a store they are in its module.
    stored: bool = True

    def full_minute(self, servers: Servers, count: int, due: int, window_seconds: float) -> FullMinute:
        """With `count` crontabs, of which `due` are due at the next full minute that it is ready for."""
        for attempt in range(ATTEMPTS):
            moment = full_minute((8 + count / 500) * 2**attempt)
            with contextlib.suppress(TooSlow):
                return self._full_minute(servers, Entries(count, moment.isoformat(), due), window_seconds)
        raise TooSlow(f"{self.name} with {count} entries was not ready in time, {ATTEMPTS} times")

    def _full_minute(self, servers: Servers, entries: Entries, window_seconds: float) -> FullMinute:
        moment = dt.datetime.fromisoformat(entries.minute).timestamp()
        self._make(servers, entries)
        with _queue(servers) as queue, self._running(servers, entries) as beat:
            _wait_until_it_rests(beat, moment - REST_SECONDS)
            memory = resident_mb(beat.pid)
            if queue.llen(QUEUE):
                raise RuntimeError(f"{self.name} sent messages before any was due")
            time.sleep(max(0.0, moment - time.time()))
            lateness: list[float] = []
            while (now := time.time()) < moment + window_seconds and len(lateness) < entries.due:
                lateness += [now - moment] * (int(queue.llen(QUEUE)) - len(lateness))
                time.sleep(LOOK_SECONDS)
        missing = entries.due - len(lateness)
        return FullMinute(lateness + [window_seconds] * missing, len(lateness), memory)

    def edits(self, servers: Servers, count: int, others: int) -> list[float]:
        """Seconds from an edit that makes an entry due to its message on the queue; `count` of them."""
        entries = Entries(count + others, dt.datetime.now(dt.UTC).isoformat())
        self._make(servers, entries)
        with _queue(servers), self._running(servers, entries) as beat:
            _wait_until_it_rests(beat, time.time() + START_SECONDS)
            edited: list[float] = json.loads(self._run(servers, entries, "edit", str(count)))
            return edited

    def _make(self, servers: Servers, entries: Entries) -> None:
        if self.stored:
            self._run(servers, entries, "make")

    def _run(self, servers: Servers, entries: Entries, *arguments: str) -> str:
        command = [sys.executable, "-m", self._path, *arguments]
        environment = _environment(servers, entries)
        ran = subprocess.run(
            command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
        )
        return ran.stdout

    @contextlib.contextmanager
    def _running(self, servers: Servers, entries: Entries) -> Iterator[subprocess.Popen[bytes]]:
        with tempfile.TemporaryDirectory(prefix="celeriac-bench-beat-") as folder:
            command = [sys.executable, "-m", "celery", "-A", self._path, "beat", "--loglevel=ERROR"]
            command += ["--pidfile=", f"--schedule={folder}/schedule"]
            environment = _environment(servers, entries)
            beat = subprocess.Popen(command, env=environment, cwd=ROOT, stdout=subprocess.DEVNULL)
            try:
                yield beat
            finally:
                beat.kill()
                beat.wait()

    @property
    def _path(self) -> str:
        return f"benchmarks.scheduler.peers.{self.module}"


PLAIN = Beat("celery beat", "plain", stored=False)
DJANGO = Beat("django-celery-beat", "django")
REDBEAT = Beat("redbeat", "redbeat")
PEERS = (PLAIN, DJANGO, REDBEAT)


def _environment(servers: Servers, entries: Entries) -> dict[str, str]:
    url = make_url(servers.database_url)
    # Read here: what a peer's process has resident is to be its own.
    database = {
        "NAME": url.database,
        "USER": url.username,
        "HOST": url.query.get("host") or url.host,
        "PORT": url.port or "",
    }
    broker = f"redis://{servers.redis_host}:{servers.redis_port}"
    return {
        **os.environ,
        **entries.environment(),
        "BENCH_BROKER_URL": f"{broker}/0",
        "BENCH_REDBEAT_URL": f"{broker}/1",
        "BENCH_DJANGO_DATABASE": json.dumps(database),
    }


@contextlib.contextmanager
def _queue(servers: Servers) -> Iterator[redis.Redis]:
    """Empty before and after."""
    with redis.Redis(servers.redis_host, servers.redis_port) as client:
        client.flushdb()
        yield client
        client.flushdb()


def _wait_until_it_rests(beat: subprocess.Popen[bytes], deadline: float) -> None:
    """`deadline`: by time.time()."""
    rested, before = 0, 0.0
    while rested < 2:
        if time.time() + REST_SECONDS > deadline:
            raise TooSlow("celery beat is still starting")
        if beat.poll() is not None:
            raise RuntimeError(f"celery beat ended with {beat.returncode}")
        time.sleep(REST_SECONDS)
        used = cpu_seconds(beat.pid)
        rests = used > STARTED_CPU_SECONDS and used - before < RESTING_CPU_SECONDS
        rested, before = (rested + 1 if rests else 0), used
