"""Callers of schedulers that are being hurt: they try again, with the request id that they had, anywhere."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
from celeriac.scheduler.v1 import schedules_pb2_grpc

from tests.chaos.cluster import Cluster

# What a call may be answered while something is away: docs say that it may be tried again then.
AWAY = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}
CALL_SECONDS, GIVE_UP_SECONDS, PAUSE_SECONDS = 3.0, 60.0, 0.1


class Callers:
    """Calls of any of the replicas, with one token."""

    def __init__(self, cluster: Cluster, state: Path, token: str) -> None:
        pair = (state / "certs/gateway.key").read_bytes(), (state / "certs/gateway.crt").read_bytes()
        credentials = grpc.ssl_channel_credentials((state / "ca.pem").read_bytes(), *pair)
        options = [("grpc.max_reconnect_backoff_ms", 500), ("grpc.use_local_subchannel_pool", 1)]
        self._token = grpc.access_token_call_credentials(token)
        self._channels = [
            grpc.secure_channel(replica.environment["CELERIAC_LISTEN"], credentials, options)
            for replica in cluster.replicas
        ]

    def close(self) -> None:
        for channel in self._channels:
            channel.close()

    def call(self, method: str, request: Any, chance: random.Random) -> Any:
        """The answer of a replica, once one gives it. Raises what is no sign of being away."""
        give_up = time.monotonic() + GIVE_UP_SECONDS
        while True:
            stub = schedules_pb2_grpc.ScheduleServiceStub(chance.choice(self._channels))
            call: Callable[..., Any] = getattr(stub, method)
            try:
                return call(request, credentials=self._token, timeout=CALL_SECONDS)
            except grpc.RpcError as error:
                known: Any = error
                if known.code() not in AWAY or time.monotonic() > give_up:
                    raise
                time.sleep(PAUSE_SECONDS)
