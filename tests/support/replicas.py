"""Two replicas of a service: one is restarted, and callers that try nothing twice go on calling."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc

from services.kernel.settings import KernelSettings
from tests.support.gateway import Gateway
from tests.support.processes import ServiceProcess, running_service

# What a process has that sets nothing: the time that the gateway has to learn that it stops.
DRAIN = str(KernelSettings.model_fields["drain"].default)
CALLERS = 8
Call = Callable[[grpc.Channel], Any]


@contextlib.contextmanager
def running_replicas(
    service: str, state: Path, environment: Mapping[str, str], module: str | None = None
) -> Iterator[list[ServiceProcess]]:
    """Two replicas on one database, which drain as long as those do that set nothing."""
    environment = {**environment, "CELERIAC_DRAIN_SECONDS": DRAIN}
    with contextlib.ExitStack() as running:
        replicas = [
            running.enter_context(running_service(service, state, environment, module)) for _ in range(2)
        ]
        try:
            yield replicas
        finally:
            # Nobody waits for their drain.
            for replica in replicas:
                replica.kill()


def ports_of(replicas: Sequence[ServiceProcess]) -> list[int]:
    return [int(replica.address.rpartition(":")[2]) for replica in replicas]


@dataclass
class Tally:
    """What came of calls."""

    calls: int = 0
    failed: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        return f"{self.failed.total()} of {self.calls} calls failed: {dict(self.failed)}"


def called_through_a_restart(
    gateway: Gateway, token: str, calls: Sequence[Call], restarted: Sequence[ServiceProcess], least: int
) -> Tally:
    """Calls in turn, at least so many times in all and until each of the processes was restarted.

    The processes get SIGTERM at the same time, and are started again at the same address after their end.
    """
    tally, over, lock = Tally(), threading.Event(), threading.Lock()

    def caller(number: int) -> None:
        with _without_retries(gateway, token) as channel:
            turn = number
            while not (over.is_set() and tally.calls >= least):
                turn += 1
                failure = _failure(calls[turn % len(calls)], channel)
                with lock:
                    tally.calls += 1
                    tally.failed.update([failure] if failure else [])
                # A pause, so that the calls are spread over the whole restart and leave it the processor.
                time.sleep(0.01)

    with ThreadPoolExecutor(CALLERS + len(restarted)) as pool:
        callers = [pool.submit(caller, number) for number in range(CALLERS)]
        try:
            for restart in [pool.submit(_restart, process) for process in restarted]:
                restart.result()
            for process in restarted:
                gateway.await_replica(process.address)
        finally:
            over.set()
        for each in callers:
            each.result()
    return tally


def called_at_once(gateway: Gateway, token: str, call: Call, times: int) -> Tally:
    """Makes so many calls at the same time."""
    with _without_retries(gateway, token) as channel, ThreadPoolExecutor(times) as pool:
        grpc.channel_ready_future(channel).result(30)
        failures = [each.result() for each in [pool.submit(_failure, call, channel) for _ in range(times)]]
    return Tally(times, Counter(filter(None, failures)))


def _restart(process: ServiceProcess) -> None:
    assert process.stop() == 0
    process.start()


def _failure(call: Call, channel: grpc.Channel) -> str:
    try:
        call(channel)
    except grpc.RpcError as error:
        told: Any = error
        return f"{told.code().name}: {told.details()}"
    return ""


@contextlib.contextmanager
def _without_retries(gateway: Gateway, token: str) -> Iterator[grpc.Channel]:
    """A channel that sends each call once: no retry policy, and none of grpc's own retries."""
    credentials = grpc.composite_channel_credentials(
        grpc.ssl_channel_credentials(gateway.ca.read_bytes()), grpc.access_token_call_credentials(token)
    )
    options = [("grpc.enable_retries", 0), ("grpc.use_local_subchannel_pool", 1)]
    with grpc.secure_channel(gateway.address, credentials, options) as channel:
        yield channel
