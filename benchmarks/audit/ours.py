"""The audit service's rates: its own process, called over mutual TLS as the relays of services call it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import grpc.aio
from celeriac.audit.v1 import audit_pb2, audit_pb2_grpc

from benchmarks.audit.entries import entries
from benchmarks.servers import ServiceProcess

# Four services, each with one relay that sends up to so many entries, and waits for the answer.
RELAYS = 4
BATCH = 500


async def append_rate(state: Path, service: ServiceProcess, count: int, batch: int = BATCH) -> float:
    """Entries a second, acknowledged: committed, hashed, under a signed checkpoint."""
    made = entries(count // 2)
    share = len(made) // RELAYS
    async with _channel(state, service, "scheduler") as channel:
        stub: Any = audit_pb2_grpc.AuditServiceStub(channel)
        start = time.monotonic()
        await asyncio.gather(
            *(_relay(stub, made[relay * share : (relay + 1) * share], batch) for relay in range(RELAYS))
        )
        return share * RELAYS / (time.monotonic() - start)


async def _relay(stub: Any, waiting: Sequence[bytes], batch: int) -> None:
    for start in range(0, len(waiting), batch):
        sent = waiting[start : start + batch]
        answer = await stub.Append(audit_pb2.AppendRequest(entries=sent))
        if answer.appended != len(sent):
            raise AssertionError(f"{answer.appended} of {len(sent)} entries were taken")


async def verify_rate(state: Path, service: ServiceProcess, token: str) -> float:
    """Entries a second that Verify reads again; the log must be found intact."""
    async with _channel(state, service, "gateway") as channel:
        stub: Any = audit_pb2_grpc.AuditServiceStub(channel)
        start = time.monotonic()
        found = await stub.Verify(
            audit_pb2.VerifyRequest(), credentials=grpc.access_token_call_credentials(token)
        )
        if not found.intact:
            raise AssertionError(f"the log is not intact: {found.discrepancies}")
        return float(found.size) / (time.monotonic() - start)


def _channel(state: Path, service: ServiceProcess, component: str) -> grpc.aio.Channel:
    credentials = grpc.ssl_channel_credentials(
        (state / "ca.pem").read_bytes(),
        (state / f"certs/{component}.key").read_bytes(),
        (state / f"certs/{component}.crt").read_bytes(),
    )
    return grpc.aio.secure_channel(service.address, credentials)
