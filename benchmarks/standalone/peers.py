"""Flower, celery beat and one Celery worker as children, on a Valkey of their own, until each is ready."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil

from benchmarks.processes import cpu_until_now
from benchmarks.servers import temporary_valkey
from benchmarks.standalone.application import BROKER
from benchmarks.standalone.ours import ROOT, Running
from tests.support.ports import free_port

READY_SECONDS = 60.0
# Otherwise they don't say that they are ready; afterwards there is nothing to say.
SAYING = ("--loglevel=INFO",)


@contextmanager
def peers() -> Iterator[Running]:
    with ExitStack() as opened:
        broker = opened.enter_context(temporary_valkey())
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="celeriac-peers-")))
        port = free_port()
        environment = {**os.environ, BROKER: f"redis://{broker.host}:{broker.port}/0"}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        began = time.monotonic()

        def started(*arguments: str) -> int:
            command = [sys.executable, "-m", "celery", "--app=benchmarks.standalone.application", *arguments]
            log = opened.enter_context((folder / f"{arguments[0]}.log").open("wb"))
            child = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
            opened.callback(_end, child)
            return child.pid

        components = {
            "worker": started("worker", "--concurrency=1", "--events", "--hostname=idle@bench", *SAYING),
            "beat": started("beat", f"--schedule={folder / 'beat'}", "--pidfile=", *SAYING),
            "flower": started("flower", f"--port={port}", "--address=127.0.0.1"),
        }
        _until(lambda: _answers(f"http://127.0.0.1:{port}/healthcheck"), folder / "flower.log")
        _until(lambda: " ready." in (folder / "worker.log").read_text(), folder / "worker.log")
        _until(lambda: "beat: Starting" in (folder / "beat.log").read_text(), folder / "beat.log")
        cpu = sum(map(cpu_until_now, components.values()))
        assert broker.process is not None
        yield Running(time.monotonic() - began, cpu, components | {"valkey": broker.process.pid})


def _until(ready: Callable[[], bool], log: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while not ready():
        if time.monotonic() > deadline:
            raise RuntimeError(f"not ready after {READY_SECONDS:.0f} s:\n{log.read_text()[-2000:]}")
        time.sleep(0.05)


def _answers(url: str) -> bool:
    with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5):
        return True
    return False


def _end(child: subprocess.Popen[bytes]) -> None:
    family = psutil.Process(child.pid).children(recursive=True)
    child.terminate()
    try:
        child.wait(20)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    for one in family:
        with contextlib.suppress(psutil.Error):
            one.kill()
