"""What the WebSocket costs: 500 sockets of ten people, each with ten messages a second, through the gateway.

    make bench AREA=door

A real monitor reads tasks' events meanwhile. Each socket gets figures and the newest changes of tasks, five
times a second each. In turns all sockets want the same in the same words, and each in words of its own: then
the door reads a stream for each and makes each message into JSON for each, as a plain bridge does. The costs
of the door, of Envoy and of the monitor are told apart; that of the clients is not counted.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import supervised
from benchmarks.door.client import NAMES
from benchmarks.processes import Usage, memory, usage_of
from benchmarks.report import Measure, quick, report
from benchmarks.servers import environment_of, running_service, temporary_postgres, temporary_valkey
from deploy.envoy import GatewaySettings
from deploy.standalone.certificates import ensure_certificates
from deploy.standalone.tokens import LocalIssuer
from tests.support.doors import DoorProcess, running_door
from tests.support.event_streams import publish
from tests.support.events import Life
from tests.support.gateway import running_gateway
from tests.support.servers import Valkey, create_migrated_database, make_template

SOCKETS = 50 if quick() else 500
PEOPLE = 10
SECONDS = 5.0 if quick() else 30.0
ROUNDS = 1 if quick() else 3
MOST_SOCKET_KB = 2000


@dataclass(frozen=True)
class System:
    port: int
    ca: Path
    door: DoorProcess
    pids: dict[str, int]
    tokens: list[str]
    valkey: Valkey


@contextmanager
def system() -> Iterator[System]:
    """Monitor, door and gateway on servers of their own."""
    with (
        temporary_postgres() as postgres,
        temporary_valkey() as valkey,
        tempfile.TemporaryDirectory(prefix="celeriac-bench-") as folder,
    ):
        state = Path(folder)
        ensure_certificates(state)
        issuer = LocalIssuer(state)
        issuer.ensure_key()
        asyncio.run(make_template(postgres))
        url = asyncio.run(create_migrated_database(postgres))
        environment = environment_of("monitor", state, url, valkey, CELERY_LOG_LEVEL="WARNING")
        with (
            running_service("monitor", state, environment) as monitor,
            running_door(state, url, CELERIAC_MONITOR_ADDRESS=monitor.address) as door,
        ):
            ports = {"monitor": int(monitor.address.rpartition(":")[2]), "door": door.port}
            with running_gateway(state, ports, GatewaySettings(rate=1_000_000, burst=1_000_000)) as gateway:
                assert monitor.process is not None
                assert door.process is not None
                assert gateway.process is not None
                pids = {
                    "monitor": monitor.process.pid,
                    "door": door.process.pid,
                    "envoy": gateway.process.pid,
                }
                tokens = [issuer.mint("viewer", subject=f"person-{number}") for number in range(PEOPLE)]
                yield System(gateway.port, gateway.ca, door, pids, tokens, valkey)


@contextmanager
def events(valkey: Valkey) -> Iterator[None]:
    """Publishes the events of whole tasks at a steady rate."""
    ended = threading.Event()

    def run() -> None:
        due = time.monotonic()
        while not ended.wait(max(0.0, due - time.monotonic())):
            due += 0.1
            publish(valkey, *(Life(time.time(), name=name) for name in NAMES))

    publishing = threading.Thread(target=run)
    publishing.start()
    try:
        yield
    finally:
        ended.set()
        publishing.join()


@dataclass(frozen=True)
class Round:
    messages: float
    characters: float
    cpu: dict[str, float]
    open_mb: float
    lost: int


def measured(running: System, words: str) -> Round:
    """Opens the sockets, measures while messages flow, closes them. `words`: "shared" or "apart"."""
    command = [sys.executable, "-m", "benchmarks.door.client"]
    command += [str(running.port), str(running.ca), str(SECONDS), str(SOCKETS), words]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as clients:
        assert clients.stdin is not None
        assert clients.stdout is not None
        clients.stdin.write("\n".join(running.tokens))
        clients.stdin.close()
        json.loads(clients.stdout.readline())
        before = {name: usage_of(pid) for name, pid in running.pids.items()}
        told: dict[str, Any] = json.loads(clients.stdout.readline())
        used: dict[str, Usage] = {name: usage_of(pid) - before[name] for name, pid in running.pids.items()}
        opened = memory(running.pids["door"])
    lost = told["skipped"] + SOCKETS - told["left"]
    cpu = {name: usage.cpu / SECONDS for name, usage in used.items()}
    return Round(told["messages"], told["characters"], cpu, opened, lost)


def both(turns: Sequence[tuple[Round, Round]], of: Callable[[Round], float]) -> tuple[float, float]:
    """Returns the medians with equal words, and with words of their own."""
    shared, apart = zip(*turns, strict=True)
    return statistics.median(map(of, shared)), statistics.median(map(of, apart))


def _beside(name: str, unit: str, figures: tuple[float, float]) -> Measure:
    return Measure(name, figures[0], unit, figures[1])


def main() -> None:
    with system() as running, events(running.valkey):
        # Before the first socket: what a round leaves behind is given back late, and belongs to no socket.
        idle = memory(running.pids["door"])
        turns = [(measured(running, "shared"), measured(running, "apart")) for _ in range(ROUNDS)]
    messages, messages_apart = both(turns, lambda each: each.messages)
    cpu, cpu_apart = both(turns, lambda each: each.cpu["door"] / each.messages * 1000)
    socket, socket_apart = both(turns, lambda each: (each.open_mb - idle) / SOCKETS * 1000)
    lost = sum(shared.lost for shared, _ in turns)
    cheaper = cpu_apart / cpu
    report(
        [
            Measure("messages", messages, "messages/s", messages_apart),
            _beside("length", "characters", both(turns, lambda each: each.characters)),
            Measure("cpu_a_message", cpu, "ms", cpu_apart, cheaper, "less than a plain bridge", cheaper > 1),
            _beside("cpu_door", "% of a core", both(turns, lambda each: each.cpu["door"] * 100)),
            _beside("cpu_envoy", "% of a core", both(turns, lambda each: each.cpu["envoy"] * 100)),
            _beside("cpu_monitor", "% of a core", both(turns, lambda each: each.cpu["monitor"] * 100)),
            _beside("memory_door", "MB", both(turns, lambda each: each.open_mb)),
            Measure("memory_a_socket", socket, "kB", socket_apart, None, "< 2 MB", socket < MOST_SOCKET_KB),
            Measure("left_out", lost, "changes, sockets", None, None, "none", lost == 0),
        ]
    )


if __name__ == "__main__":
    supervised.run(main)
