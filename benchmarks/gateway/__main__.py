"""What the gateway costs: GetSchedule through Envoy beside the same call straight at the scheduler.

    make bench AREA=gateway

Both ways are measured in turns in one run: one caller for latency, several in two processes for throughput.
The callers are Python clients (grpc.aio) and take about as much of the machine as what they call, so the
figures compare the two ways; they are not what Envoy can do.
"""

from __future__ import annotations

import multiprocessing
import statistics
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import psutil
from celeriac.scheduler.v1 import schedules_pb2 as pb
from celeriac.scheduler.v1 import schedules_pb2_grpc

from benchmarks import supervised
from benchmarks.gateway.client import Way, call
from benchmarks.report import Measure, quick, report
from benchmarks.servers import temporary_servers
from deploy.envoy import GatewaySettings
from deploy.standalone.certificates import ensure_certificates
from deploy.standalone.tokens import LocalIssuer
from tests.support.gateway import Gateway, running_gateway
from tests.support.processes import ServiceProcess, environment_of, migrate, running_service

NAME = "schedules/measured"
PROCESSES = 2
IN_FLIGHT = 8
ROUNDS = 3 if quick() else 9
SECONDS = 1.0 if quick() else 4.0


@dataclass(frozen=True)
class System:
    gateway: Way
    straight: Way
    envoy: psutil.Process
    scheduler: psutil.Process


@contextmanager
def system() -> Iterator[System]:
    """Scheduler and gateway on servers of their own, with one schedule."""
    with temporary_servers() as servers, tempfile.TemporaryDirectory(prefix="celeriac-bench-") as folder:
        state = Path(folder)
        ensure_certificates(state)
        issuer = LocalIssuer(state)
        issuer.ensure_key()
        environment = environment_of(
            "scheduler",
            state,
            servers.database_url,
            REDIS_HOST=servers.redis_host,
            REDIS_PORT=str(servers.redis_port),
            CELERY_LOG_LEVEL="WARNING",
        )
        # The limit of calls a second is not what is measured.
        settings = GatewaySettings(rate=1_000_000, burst=1_000_000)
        migrate("scheduler", environment)
        with running_service("scheduler", state, environment) as scheduler:
            ports = {"scheduler": int(scheduler.address.rpartition(":")[2])}
            with running_gateway(state, ports, settings, health_from="scheduler") as gateway:
                token = issuer.mint("admin", subject="bench")
                create(gateway.channel(token))
                yield System(
                    Way(gateway.address, state, token, straight=False),
                    Way(scheduler.address, state, token, straight=True),
                    process_of(gateway),
                    process_of(scheduler),
                )


def process_of(running: Gateway | ServiceProcess) -> psutil.Process:
    assert running.process is not None
    return psutil.Process(running.process.pid)


def create(channel: grpc.Channel) -> None:
    with channel:
        schedule = pb.Schedule(
            name=NAME,
            task=pb.TaskSpec(task_name="report"),
            timing=pb.Timing(crontab=pb.Crontab(expression="0 0 29 2 *")),
        )
        stub = schedules_pb2_grpc.ScheduleServiceStub(channel)
        stub.CreateSchedule(pb.CreateScheduleRequest(schedule=schedule), timeout=30)


def latency(pool: ProcessPoolExecutor, way: Way) -> float:
    """Median milliseconds of one caller, one call after another."""
    return statistics.median(pool.submit(call, way, NAME, SECONDS, 1).result()) * 1000


def throughput(pool: ProcessPoolExecutor, way: Way) -> float:
    """Calls a second of all processes together."""
    running = [pool.submit(call, way, NAME, SECONDS, IN_FLIGHT) for _ in range(PROCESSES)]
    return sum(len(each.result()) for each in running) / SECONDS


def compare(measure: Callable[[ProcessPoolExecutor, Way], float], ways: System) -> tuple[float, float]:
    """Medians of several rounds, the two ways in turns, so that a noisy moment meets both."""
    with ProcessPoolExecutor(PROCESSES, multiprocessing.get_context("spawn")) as pool:
        rounds = [(measure(pool, ways.gateway), measure(pool, ways.straight)) for _ in range(ROUNDS)]
    through, straight = zip(*rounds, strict=True)
    return statistics.median(through), statistics.median(straight)


def processor_time(ways: System) -> tuple[float, float]:
    """Microseconds of a processor that Envoy and the scheduler take for a call through the gateway."""
    with ProcessPoolExecutor(PROCESSES, multiprocessing.get_context("spawn")) as pool:
        before = [sum(process.cpu_times()[:2]) for process in (ways.envoy, ways.scheduler)]
        calls = sum(throughput(pool, ways.gateway) * SECONDS for _ in range(max(1, ROUNDS // 3)))
        after = [sum(process.cpu_times()[:2]) for process in (ways.envoy, ways.scheduler)]
    envoy, scheduler = ((b - a) / calls * 1e6 for a, b in zip(before, after, strict=True))
    return envoy, scheduler


def main() -> None:
    with system() as ways:
        through_ms, straight_ms = compare(latency, ways)
        through_rate, straight_rate = compare(throughput, ways)
        envoy, scheduler = processor_time(ways)
    faster, more, less = straight_ms / through_ms, through_rate / straight_rate, scheduler / envoy
    half = "more than half as fast as straight: ratio over 0.5"
    cheap = "Envoy takes less of a processor than the service: ratio over 1"
    report(
        [
            Measure("latency_p50", through_ms, "ms", straight_ms, faster, half, faster > 0.5),
            Measure("latency_added", through_ms - straight_ms, "ms"),
            Measure("throughput", through_rate, "calls/s", straight_rate, more, half, more > 0.5),
            Measure("processor_time", envoy, "us/call", scheduler, less, cheap, less > 1),
        ]
    )


if __name__ == "__main__":
    supervised.run(main)
