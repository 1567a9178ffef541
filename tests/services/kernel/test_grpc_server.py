"""A real server over mutual TLS: what a caller meets on the way to a handler."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from prometheus_client import CollectorRegistry

from deploy.standalone.tokens import LocalIssuer
from services.kernel.errors import Conflict, Exhausted, FieldFault, Invalid, Locked
from services.kernel.grpc.decode import MOST_BYTES
from services.kernel.grpc.server import Server, Servicer
from services.kernel.grpc.steps import steps_of_every_call
from services.kernel.identity import current_identity
from services.kernel.metrics import CallMetrics
from services.kernel.settings import KernelSettings
from services.kernel.tokens import LEEWAY_SECONDS, TokenVerifier
from tests.support.key_sets import second_key
from tests.support.probe import CONTRACT, SERVICE, Probe, Text, add_probe
from tests.support.settings import kernel_settings

Status = grpc.StatusCode
SERVING = health_pb2.HealthCheckResponse.SERVING


@dataclass
class Running:
    server: Server
    state: Path
    release: asyncio.Event

    def channel(self, component: str = "gateway") -> grpc.aio.Channel:
        """A channel with the certificate of the component."""
        credentials = grpc.ssl_channel_credentials(
            (self.state / "ca.pem").read_bytes(),
            (self.state / f"certs/{component}.key").read_bytes(),
            (self.state / f"certs/{component}.crt").read_bytes(),
        )
        return grpc.aio.secure_channel(f"localhost:{self.server.port}", credentials)

    async def call(self, method: str, text: str = "", component: str = "gateway", **metadata: str) -> Any:
        async with self.channel(component) as channel:
            invoke = channel.unary_unary(f"/{SERVICE}/{method}", Text.SerializeToString, Text.FromString)
            pairs = tuple((key.replace("_", "-"), value) for key, value in metadata.items())
            return (await invoke(Text(text=text), metadata=pairs)).text


@pytest.fixture
def settings(certificates: Path, tokens: LocalIssuer) -> KernelSettings:
    return kernel_settings(certificates, tokens, "monitor")


@pytest.fixture
async def running(settings: KernelSettings, certificates: Path) -> AsyncIterator[Running]:
    release = asyncio.Event()

    async def on_text(text: str) -> str:
        match text:
            case "conflict":
                raise Conflict("schedules/a", "etag-2")
            case "invalid":
                raise Invalid([FieldFault("cron", "has 4 fields, it needs 5", "*/15 * * * *")])
            case "exhausted":
                raise Exhausted("the queue is full", 2.5)
            case "locked":
                raise Locked("another call is under way", 10)
            case "bug":
                raise RuntimeError("secret=hunter2")
            case "wait":
                await release.wait()
            case "busy":
                time.sleep(0.002)  # noqa: ASYNC251 - keeps the event loop from taking the next call
                await asyncio.sleep(0)
            case "who":
                identity = current_identity()
                return f"{identity.subject} {identity.role.label}" if identity else "nobody"
        return text

    verifier = TokenVerifier(settings.token_keys, settings.token_issuer, settings.token_audience)
    steps = steps_of_every_call(CallMetrics(CollectorRegistry()), verifier, [])
    server = Server(settings, [Servicer(CONTRACT, add_probe, Probe(on_text))], steps)
    await server.start()
    yield Running(server, certificates, release)
    await server.stop(0)


@pytest.fixture
def admin(tokens: LocalIssuer) -> Iterator[str]:
    yield f"Bearer {tokens.mint('admin', subject='mei')}"


async def refusal(call: Any) -> tuple[grpc.StatusCode, str, dict[str, Any]]:
    """The status that a call fails with: code, message, and its details by type."""
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await call
    error = failed.value
    trailing = dict(error.trailing_metadata() or ())
    status = status_pb2.Status.FromString(trailing.get("grpc-status-details-bin", b""))
    details = {}
    for kind in (
        error_details_pb2.ErrorInfo,
        error_details_pb2.BadRequest,
        error_details_pb2.RetryInfo,
        error_details_pb2.RequestInfo,
    ):
        for packed in status.details:
            if packed.Is(kind.DESCRIPTOR):
                details[kind.__name__] = kind.FromString(packed.value)
    return error.code(), error.details() or "", details


async def test_a_call_with_a_good_token_reaches_the_handler_as_its_subject(
    running: Running, admin: str
) -> None:
    assert await running.call("Say", "who", authorization=admin) == "mei admin"


async def test_a_public_method_answers_without_a_token(running: Running) -> None:
    assert await running.call("Hello", "who") == "nobody"


async def test_without_a_token_the_call_is_unauthenticated(running: Running) -> None:
    code, message, details = await refusal(running.call("Say", "hi"))
    assert code is Status.UNAUTHENTICATED
    assert "authorization: Bearer <token>" in message
    assert details["ErrorInfo"].reason == "TOKEN_MISSING"


@pytest.mark.parametrize("header", ["Bearer forged.by.me", "Basic bWVpOm1laQ==", "Bearer", "Bearer  "])
async def test_a_forged_or_malformed_token_is_unauthenticated(running: Running, header: str) -> None:
    code, _, _ = await refusal(running.call("Say", "hi", authorization=header))
    assert code is Status.UNAUTHENTICATED


async def test_too_low_a_role_is_denied_and_told_which_is_needed(
    running: Running, tokens: LocalIssuer
) -> None:
    viewer = f"Bearer {tokens.mint('viewer')}"
    code, message, details = await refusal(running.call("Change", "hi", authorization=viewer))
    assert code is Status.PERMISSION_DENIED
    assert "admin" in message
    assert details["ErrorInfo"].reason == "ROLE_TOO_LOW"


async def test_a_service_is_known_by_its_certificate_and_the_gateway_is_nobody(running: Running) -> None:
    assert await running.call("Say", "who", component="scheduler") == "service:scheduler service"
    code, _, _ = await refusal(running.call("Say", "who", component="gateway"))
    assert code is Status.UNAUTHENTICATED


async def test_a_certificate_alone_may_call_what_names_it_and_nothing_else(running: Running) -> None:
    assert await running.call("Tell", "who", component="scheduler") == "service:scheduler service"
    assert await running.call("Hello", "who", component="worker") == "service:worker service"
    for method, component, reason in (
        ("Tell", "worker", "SERVICES_ONLY"),
        ("Say", "worker", "CALLER_NOT_NAMED"),
        ("Change", "scheduler", "CALLER_NOT_NAMED"),
    ):
        code, message, details = await refusal(running.call(method, "who", component=component))
        assert (code, details["ErrorInfo"].reason) == (Status.PERMISSION_DENIED, reason)
        assert component in message


async def test_no_token_may_call_a_method_of_services(running: Running, tokens: LocalIssuer) -> None:
    for role in ("writer", "super_admin"):
        # A service that acts for a person is that person, with or without a certificate that is named.
        for component in ("gateway", "scheduler"):
            token = f"Bearer {tokens.mint(role)}"
            code, _, details = await refusal(running.call("Tell", "hi", component, authorization=token))
            assert (code, details["ErrorInfo"].reason) == (Status.PERMISSION_DENIED, "SERVICES_ONLY")


async def test_a_writer_may_call_what_names_it_and_nothing_else(
    running: Running, tokens: LocalIssuer
) -> None:
    writer = f"Bearer {tokens.mint('writer', subject='chat')}"
    assert await running.call("Write", "who", authorization=writer) == "chat writer"
    assert await running.call("Hello", "who", authorization=writer) == "chat writer"
    for method in ("Say", "Change"):
        code, message, details = await refusal(running.call(method, "hi", authorization=writer))
        assert (code, details["ErrorInfo"].reason) == (Status.PERMISSION_DENIED, "ROLE_TOO_LOW")
        assert message.endswith("chat has writer")
    code, message, _ = await refusal(
        running.call("Write", "hi", authorization=f"Bearer {tokens.mint('viewer')}")
    )
    assert code is Status.PERMISSION_DENIED
    assert "needs the role admin or writer" in message


async def test_a_token_counts_before_the_certificate(running: Running, admin: str) -> None:
    assert await running.call("Say", "who", component="scheduler", authorization=admin) == "mei admin"


async def test_a_client_without_a_certificate_does_not_get_in(running: Running, certificates: Path) -> None:
    credentials = grpc.ssl_channel_credentials((certificates / "ca.pem").read_bytes())
    async with grpc.aio.secure_channel(f"localhost:{running.server.port}", credentials) as channel:
        invoke = channel.unary_unary(f"/{SERVICE}/Hello", Text.SerializeToString, Text.FromString)
        code, _, _ = await refusal(invoke(Text(), timeout=5))
    assert code is Status.UNAVAILABLE


async def test_an_unknown_method_is_unimplemented(running: Running, admin: str) -> None:
    code, _, _ = await refusal(running.call("Nonsense", authorization=admin))
    assert code is Status.UNIMPLEMENTED


async def test_an_error_of_the_family_carries_its_reason_and_facts(running: Running, admin: str) -> None:
    code, message, details = await refusal(running.call("Say", "conflict", authorization=admin))
    assert code is Status.ABORTED
    assert "etag-2" in message
    assert details["ErrorInfo"].metadata["etag"] == "etag-2"

    code, message, details = await refusal(running.call("Say", "invalid", authorization=admin))
    assert code is Status.INVALID_ARGUMENT
    violation = details["BadRequest"].field_violations[0]
    assert violation.field == "cron"
    assert violation.description == "has 4 fields, it needs 5; for example: */15 * * * *"

    code, _, details = await refusal(running.call("Say", "exhausted", authorization=admin))
    assert code is Status.RESOURCE_EXHAUSTED
    assert details["RetryInfo"].retry_delay.ToMilliseconds() == 2500

    code, _, details = await refusal(running.call("Say", "locked", authorization=admin))
    assert code is Status.UNAVAILABLE
    assert details["ErrorInfo"].reason == "LOCKED"
    assert details["RetryInfo"].retry_delay.ToMilliseconds() == 10_000


async def test_an_error_of_ours_tells_an_incident_and_nothing_else(running: Running, admin: str) -> None:
    code, message, _ = await refusal(running.call("Say", "bug", authorization=admin))
    assert code is Status.INTERNAL
    assert "incident" in message
    assert "hunter2" not in message


@pytest.mark.parametrize("raw", [b"\x0a\xff", b"\x0a\x02\xc3\x28", b"\xff" * 10])
async def test_malformed_bytes_are_the_callers_error(running: Running, admin: str, raw: bytes) -> None:
    async with running.channel() as channel:
        invoke: Any = channel.unary_unary(f"/{SERVICE}/Say", None, Text.FromString)
        code, message, _ = await refusal(invoke(raw, metadata=(("authorization", admin),)))
    assert code is Status.INVALID_ARGUMENT
    assert "request" in message


async def test_a_message_that_is_too_large_is_told_with_its_size(running: Running, admin: str) -> None:
    code, message, details = await refusal(running.call("Say", "x" * MOST_BYTES, authorization=admin))
    assert code is Status.RESOURCE_EXHAUSTED
    assert details["ErrorInfo"].reason == "REQUEST_TOO_LARGE"
    assert f"at most {MOST_BYTES}" in message


async def test_the_callers_request_id_comes_back_in_errors(running: Running, admin: str) -> None:
    _, _, details = await refusal(running.call("Say", "conflict", authorization=admin, x_request_id="req-7"))
    assert details["RequestInfo"].request_id == "req-7"


async def test_a_client_stream_is_read_to_its_end(running: Running, admin: str) -> None:
    async with running.channel() as channel:
        invoke = channel.stream_unary(f"/{SERVICE}/Sum", Text.SerializeToString, Text.FromString)
        texts = (Text(text=str(number)) for number in range(3))
        answer: Any = await invoke(texts, metadata=(("authorization", admin),))
        assert answer.text == "3"


def nearly_expired(tokens: LocalIssuer) -> tuple[tuple[str, str], ...]:
    """The metadata of a token that is taken for a second or two more: expired, within the leeway."""
    token = tokens.mint("admin", subject="mei", life_seconds=2 - int(LEEWAY_SECONDS))
    return (("authorization", f"Bearer {token}"),)


async def test_a_stream_ends_when_the_token_of_its_reader_has_expired(
    running: Running, tokens: LocalIssuer
) -> None:
    async with running.channel() as channel, asyncio.timeout(30):
        count = channel.unary_stream(f"/{SERVICE}/Count", Text.SerializeToString, Text.FromString)
        stream = count(Text(), metadata=nearly_expired(tokens))

        async def read_on() -> None:
            while await stream.read() is not grpc.aio.EOF:
                pass

        code, _, details = await refusal(read_on())
    assert code is Status.UNAUTHENTICATED
    assert details["ErrorInfo"].reason == "TOKEN_EXPIRED"


async def test_a_stream_ends_when_the_key_of_its_token_is_withdrawn(
    running: Running, tokens: LocalIssuer, tmp_path: Path
) -> None:
    with second_key(tokens.key_set, tmp_path) as key:
        async with running.channel() as channel, asyncio.timeout(30):
            count = channel.unary_stream(f"/{SERVICE}/Count", Text.SerializeToString, Text.FromString)
            withdrawn, kept = (
                count(Text(), metadata=(("authorization", f"Bearer {issuer.mint()}"),))
                for issuer in (key.issuer, tokens)
            )
            assert await withdrawn.read() is not grpc.aio.EOF
            key.withdraw()

            async def read_on() -> None:
                while await withdrawn.read() is not grpc.aio.EOF:
                    pass

            code, message, details = await refusal(read_on())
            assert await kept.read() is not grpc.aio.EOF
            assert not kept.done()
    assert code is Status.UNAUTHENTICATED
    assert details["ErrorInfo"].reason == "TOKEN_INVALID"
    assert "the key (kid)" in message


async def test_a_stream_of_requests_ends_when_the_token_of_its_caller_has_expired(
    running: Running, tokens: LocalIssuer
) -> None:
    async def texts() -> AsyncIterator[Text]:
        yield Text(text="1")
        await asyncio.Event().wait()

    async with running.channel() as channel, asyncio.timeout(30):
        invoke = channel.stream_unary(f"/{SERVICE}/Sum", Text.SerializeToString, Text.FromString)
        code, _, details = await refusal(invoke(texts(), metadata=nearly_expired(tokens)))
    assert code is Status.UNAUTHENTICATED
    assert details["ErrorInfo"].reason == "TOKEN_EXPIRED"


async def test_a_call_that_came_before_its_token_expired_is_answered(
    running: Running, tokens: LocalIssuer
) -> None:
    async with running.channel() as channel, asyncio.timeout(30):
        metadata = nearly_expired(tokens)
        say = channel.unary_unary(f"/{SERVICE}/Say", Text.SerializeToString, Text.FromString)
        waiting = asyncio.ensure_future(say(Text(text="wait"), metadata=metadata))
        # Until the token is refused for a new call.
        while True:
            with contextlib.suppress(grpc.aio.AioRpcError):
                await say(Text(text="here"), metadata=metadata)
                await asyncio.sleep(0.05)
                continue
            break
        running.release.set()
        answer: Any = await waiting
    assert answer.text == "wait"


async def test_health_answers_for_each_service(running: Running) -> None:
    async with running.channel() as channel:
        health = health_pb2_grpc.HealthStub(channel)
        for name in ("", SERVICE):
            answer = await health.Check(health_pb2.HealthCheckRequest(service=name))
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        code, _, _ = await refusal(health.Check(health_pb2.HealthCheckRequest(service="nobody")))
    assert code is Status.NOT_FOUND


async def test_stopping_finishes_the_call_in_flight_and_sends_stream_readers_away(
    running: Running, admin: str
) -> None:
    async with running.channel() as channel:
        metadata = (("authorization", admin),)
        count = channel.unary_stream(f"/{SERVICE}/Count", Text.SerializeToString, Text.FromString)
        stream = count(Text(), metadata=metadata)
        first: Any = await stream.read()
        assert first.text == "0"
        say = channel.unary_unary(f"/{SERVICE}/Say", Text.SerializeToString, Text.FromString)
        waiting = asyncio.ensure_future(say(Text(text="wait"), metadata=metadata))
        await say(Text(text="here"), metadata=metadata)

        stopping = asyncio.create_task(running.server.stop(10))

        async def read_on() -> None:
            while await stream.read() is not grpc.aio.EOF:
                pass

        code, message, _ = await refusal(read_on())
        assert code is Status.UNAVAILABLE
        assert "restarted" in message
        running.release.set()
        answer: Any = await waiting
        assert answer.text == "wait"
        await stopping


async def test_every_call_that_arrived_is_answered_though_the_server_stops(
    running: Running, admin: str
) -> None:
    async with running.channel() as channel:
        metadata = (("authorization", admin),)
        say = channel.unary_unary(f"/{SERVICE}/Say", Text.SerializeToString, Text.FromString)
        await say(Text(text="here"), metadata=metadata)
        calls = [asyncio.ensure_future(say(Text(text="busy"), metadata=metadata)) for _ in range(300)]
        await calls[0]
        await running.server.stop(30)
        answers: list[Any] = await asyncio.gather(*calls, return_exceptions=True)
    assert [answer for answer in answers if not isinstance(answer, Text)] == []


async def test_a_draining_server_says_so_and_serves_on(running: Running, admin: str) -> None:
    async with running.channel() as channel:
        health = health_pb2_grpc.HealthStub(channel)
        stopping = asyncio.create_task(running.server.stop(10, drain=1.0))
        watching = health.Watch(health_pb2.HealthCheckRequest())
        told: Any = await watching.read()
        while told.status == SERVING:
            told = await watching.read()
        assert not stopping.done()
        assert await running.call("Say", "who", authorization=admin) == "mei admin"
    await stopping
