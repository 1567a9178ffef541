"""`make up` as a child: started in a folder, until it says that it is ready."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import cpu_until_now
from deploy.standalone.ports import BLOCK
from deploy.standalone.record import SystemRecord
from tests.support.ports import free_ports

SUPERVISOR = "supervisor"
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Running:
    """A system that is ready: how long its start took, and the CPU seconds of it over all processes."""

    seconds: float
    cpu: float
    # The process of each component.
    components: dict[str, int]


@contextmanager
def up(python: Path, state: Path) -> Iterator[Running]:
    port = free_ports(BLOCK)
    environment = {**os.environ, "CELERIAC_STATE_DIR": str(state), "CELERIAC_GATEWAY_PORT": str(port)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    began = time.monotonic()
    command = [str(python), "-m", "deploy.standalone", "up"]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as system:
        assert system.stdout is not None
        try:
            said = []
            for line in system.stdout:
                said.append(line)
                if line.startswith("ready:"):
                    break
            else:
                raise RuntimeError("make up did not become ready:\n" + "".join(said[-30:]))
            seconds, cpu = time.monotonic() - began, cpu_until_now(system.pid)
            threading.Thread(target=system.stdout.read, daemon=True).start()
            record = SystemRecord.read(state / "run")
            assert record is not None
            components = {name: one.pid for name, one in record.processes.items() if one.pid}
            yield Running(seconds, cpu, {**components, SUPERVISOR: system.pid})
        finally:
            system.send_signal(signal.SIGTERM)
            system.wait()
