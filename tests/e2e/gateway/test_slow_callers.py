"""Callers that never finish what they send: the gateway ends their connections, and only theirs."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from celeriac.embedder.v1 import messages_pb2 as pb
from celeriac.embedder.v1 import messages_pb2_grpc

from deploy.standalone.tokens import LocalIssuer
from tests.support.embedder_workers import MODULE as BIGRAM_EMBEDDER
from tests.support.gateway import Gateway, running_gateway
from tests.support.processes import environment_of, running_service
from tests.support.servers import Valkey

# Within that all of them must be ended: the limits are 10 and 15 seconds.
PATIENCE = 60.0
GRPC = "/celeriac.embedder.v1.MessageService/ListMessages"


@pytest.fixture(scope="module")
def gateway(certificates: Path, tokens: LocalIssuer, database_url: str, valkey: Valkey) -> Iterator[Gateway]:
    environment = environment_of("embedder", certificates, database_url, valkey)
    with running_service("embedder", certificates, environment, BIGRAM_EMBEDDER) as embedder:
        ports = {"embedder": int(embedder.address.rpartition(":")[2])}
        with running_gateway(certificates, ports, health_from="embedder") as running:
            yield running


@contextlib.contextmanager
def connected(gateway: Gateway) -> Iterator[ssl.SSLSocket]:
    context = ssl.create_default_context(cafile=gateway.ca)
    with (
        socket.create_connection(("127.0.0.1", gateway.port), timeout=PATIENCE) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as secure,
    ):
        yield secure


def all_that_comes(connection: socket.socket) -> bytes:
    """Everything until the other side closes; raises TimeoutError if it never does."""
    found = b""
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        while part := connection.recv(65536):
            found += part
    return found


@contextlib.contextmanager
def trickling(connection: socket.socket, drop: bytes) -> Iterator[None]:
    """Sends so much every half second, meanwhile, and takes it when the other side has had enough."""
    enough = threading.Event()

    def trickle() -> None:
        with contextlib.suppress(OSError):
            while not enough.wait(0.5):
                connection.sendall(drop)

    thread = threading.Thread(target=trickle, daemon=True)
    thread.start()
    try:
        yield
    finally:
        enough.set()
        thread.join()


def request(path: str, token: str, content_type: str, length: int, verb: str = "POST") -> bytes:
    lines = [
        f"{verb} {path} HTTP/1.1",
        "host: 127.0.0.1",
        f"authorization: Bearer {token}",
        f"content-type: {content_type}",
        f"content-length: {length}" if length else "transfer-encoding: chunked",
    ]
    return "\r\n".join([*lines, "", ""]).encode()


# What is sent first, and what is sent again and again thereafter (nothing: silence).
REST, WEB = "application/json", "application/grpc-web+proto"
EMBED = "/celeriac.embedder.v1.EmbeddingService/Embed"
HALF = struct.pack(">BI", 0, 1000) + b"x"
UNFINISHED: dict[str, tuple[Callable[[str], bytes], bytes]] = {
    "REST, a small body, silence": (lambda t: request("/v1/embeddings", t, REST, 100) + b'{"te', b""),
    "REST, a small body, a trickle": (lambda t: request("/v1/embeddings", t, REST, 1000) + b"{", b" "),
    "REST, a large body, silence": (lambda t: request("/v1/embeddings", t, REST, 10**6) + b'{"te', b""),
    "REST, a large body, a trickle": (lambda t: request("/v1/embeddings", t, REST, 10**6) + b"{", b" "),
    "REST, chunks, a trickle": (lambda t: request("/v1/embeddings", t, REST, 0), b"1\r\n \r\n"),
    "REST, events": (
        lambda t: request("/v1/embeddings", t, REST, 1000).replace(
            b"host:", b"accept: text/event-stream\r\nhost:"
        ),
        b" ",
    ),
    "gRPC-Web, silence": (lambda t: request(GRPC, t, WEB, 1000) + HALF, b""),
    "gRPC-Web, a trickle": (lambda t: request(GRPC, t, WEB, 1000) + HALF, b"x"),
    "headers, silence": (lambda t: request(GRPC, t, WEB, 1000)[:60], b""),
    "headers, a trickle": (lambda t: request(GRPC, t, WEB, 1000)[:60], b"x"),
}


def unfinished(gateway: Gateway, token: str, first: Callable[[str], bytes], drop: bytes) -> bytes:
    """What comes of a request that is begun and never finished."""
    with connected(gateway) as connection:
        connection.sendall(first(token))
        with trickling(connection, drop) if drop else contextlib.nullcontext():
            return all_that_comes(connection)


def hello() -> bytes:
    """The first message of TLS, as a client sends it."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


HANDSHAKES = {
    "nothing": (b"", b""),
    "a first message, silence": (hello(), b""),
    "half a message, silence": (hello()[:50], b""),
    "half a message, a trickle": (hello()[:50], hello()[50:51]),
}


def half_shaken(gateway: Gateway, first: bytes, drop: bytes) -> bytes:
    """What comes of a handshake that is begun and never finished."""
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=PATIENCE) as connection:
        connection.sendall(first)
        with trickling(connection, drop) if drop else contextlib.nullcontext():
            return all_that_comes(connection)


def requestless(gateway: Gateway, token: str) -> grpc.RpcError:
    """What a unary call ends with whose client opens the stream, and then hangs."""

    def never() -> Iterator[bytes]:
        time.sleep(PATIENCE)
        yield b""

    with gateway.channel(token) as channel:
        # To grpc it is a stream of requests, of which the first never comes.
        call: Any = channel.stream_unary(GRPC)
        with pytest.raises(grpc.RpcError) as failed:
            call(never(), timeout=PATIENCE)
        return failed.value


def streamed(gateway: Gateway, token: str) -> int:
    """How many messages are stored by a stream that lasts longer than a call that is no stream may."""

    def messages() -> Iterator[pb.IngestMessagesRequest]:
        for number in range(20):
            message = pb.Message(
                name=f"messages/slow-{number}",
                conversation="conversations/slow",
                role=pb.MESSAGE_ROLE_USER,
                text="rain",
            )
            yield pb.IngestMessagesRequest(messages=[message])
            time.sleep(1)

    with gateway.channel(token) as channel:
        stub = messages_pb2_grpc.MessageServiceStub(channel)
        return int(stub.IngestMessages(messages(), timeout=PATIENCE).created)


@pytest.fixture(scope="module")
def ends(gateway: Gateway, tokens: LocalIssuer) -> Iterator[dict[str, Future[Any]]]:
    """How each of them ends. All begin at once, so that together they last as long as the longest."""
    token = tokens.mint("admin")
    with ThreadPoolExecutor(len(UNFINISHED) + len(HANDSHAKES) + 2) as pool:
        yield {
            **{name: pool.submit(unfinished, gateway, token, *sent) for name, sent in UNFINISHED.items()},
            **{name: pool.submit(half_shaken, gateway, *sent) for name, sent in HANDSHAKES.items()},
            "no request": pool.submit(requestless, gateway, token),
            "a stream": pool.submit(streamed, gateway, token),
        }


@pytest.mark.parametrize("name", UNFINISHED)
def test_a_request_that_never_ends_is_ended(name: str, ends: dict[str, Future[bytes]]) -> None:
    answer = ends[name].result()
    status = answer.partition(b"\r\n")[0]
    if name.startswith("REST"):
        assert status == b"HTTP/1.1 504 Gateway Timeout", answer
        assert b"DEADLINE_EXCEEDED" in answer
    if name.startswith("gRPC-Web"):
        assert status == b"HTTP/1.1 200 OK", answer
        assert b"grpc-status: 4" in answer


def test_a_unary_call_by_grpc_that_never_sends_its_request_is_ended(ends: dict[str, Future[Any]]) -> None:
    error = ends["no request"].result()
    # By the gateway, or by the service, whose clock for the call may have begun earlier.
    assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED, error


@pytest.mark.parametrize("name", HANDSHAKES)
def test_a_connection_without_a_whole_handshake_is_ended(name: str, ends: dict[str, Future[bytes]]) -> None:
    # Or the gateway would answer something to it; what matters is that it closes the connection.
    assert b"HTTP" not in ends[name].result()


def test_a_stream_that_goes_on_sending_is_not_ended(ends: dict[str, Future[int]]) -> None:
    assert ends["a stream"].result() == 20
