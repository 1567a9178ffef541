"""What `make status` says of a call that failed: a server's words or plain ones, never those of gRPC."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import grpc
import pytest
from celeriac.monitor.v1 import queues_pb2, queues_pb2_grpc

from deploy.standalone.call_errors import in_words
from deploy.standalone.tokens import LocalIssuer
from tests.support.gateway import running_gateway
from tests.support.ports import free_port


async def failure(channel: grpc.aio.Channel, seconds: float = 10.0) -> grpc.aio.AioRpcError:
    stub: Any = queues_pb2_grpc.QueueServiceStub(channel)
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await stub.ListQueues(queues_pb2.ListQueuesRequest(), timeout=seconds)
    return failed.value


async def test_where_nothing_listens_no_address_and_no_errno_is_told() -> None:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{free_port()}") as channel:
        error = await failure(channel)
    assert "127.0.0.1" in (error.details() or "")
    assert in_words(error) == "it can't be reached now"


async def test_what_does_not_answer_is_told_as_that() -> None:
    # It takes connections, and says nothing.
    with socket.create_server(("127.0.0.1", 0)) as silent:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{silent.getsockname()[1]}") as channel:
            assert in_words(await failure(channel, 0.2)) == "it did not answer in time"


async def test_what_the_gateway_tells_is_told(certificates: Path, tokens: LocalIssuer) -> None:
    with running_gateway(certificates, {}) as gateway:
        credentials = grpc.ssl_channel_credentials(gateway.ca.read_bytes())
        async with grpc.aio.secure_channel(gateway.address, credentials) as channel:
            told = in_words(await failure(channel))
    assert told == "this method needs a token: send the header authorization: Bearer <token>"
