"""Callers of GetSchedule, to be run in processes of their own: they must not share a loop with each other."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from celeriac.channel import connect
from celeriac.scheduler.v1 import schedules_pb2, schedules_pb2_grpc


@dataclass(frozen=True)
class Way:
    """A way to the scheduler: through the gateway, or straight to it with the gateway's certificate."""

    address: str
    state: Path
    token: str
    straight: bool

    def channel(self) -> grpc.aio.Channel:
        if not self.straight:
            return connect(self.address, token=self.token, ca=self.state / "ca.pem")
        certificate = grpc.ssl_channel_credentials(
            (self.state / "ca.pem").read_bytes(),
            (self.state / "certs/gateway.key").read_bytes(),
            (self.state / "certs/gateway.crt").read_bytes(),
        )
        bearer = grpc.access_token_call_credentials(self.token)
        return grpc.aio.secure_channel(self.address, grpc.composite_channel_credentials(certificate, bearer))


def call(way: Way, name: str, seconds: float, in_flight: int) -> list[float]:
    """Calls for so long, with so many calls under way at once; gives each call's time in seconds."""
    return asyncio.run(_call(way, name, seconds, in_flight))


async def _call(way: Way, name: str, seconds: float, in_flight: int) -> list[float]:
    request = schedules_pb2.GetScheduleRequest(name=name)
    async with way.channel() as channel:
        # Typed for blocking channels.
        stub: Any = schedules_pb2_grpc.ScheduleServiceStub(channel)
        # Connection, token check and plans of the database are warm in what is measured.
        for _ in range(20):
            await stub.GetSchedule(request, timeout=10)
        until = time.perf_counter() + seconds
        times: list[float] = []

        async def one_after_another() -> None:
            while (started := time.perf_counter()) < until:
                await stub.GetSchedule(request, timeout=10)
                times.append(time.perf_counter() - started)

        await asyncio.gather(*(one_after_another() for _ in range(in_flight)))
        return times
