"""The gRPC server of a service: every call goes through the same ordered steps.

observe   gives it a request id; logs and measures it when it ends
errors    turns exceptions of the steps below and of the handler into a google.rpc.Status
decode    parses the request: malformed bytes are the caller's error, not ours
identify  establishes who calls
audit     records a mutation's intent before its effect, and its outcome after
lifetime  ends a stream when its caller's token has expired
access    refuses it if the method's policy does not allow it
pages     binds the page tokens of lists to their requests
readable  hides what the caller's role may not read in the answer

A service may add steps of its own after these.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    aclosing,
    asynccontextmanager,
    contextmanager,
)
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import grpc
import grpc.aio
import structlog
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message import DecodeError, Message
from grpc_health.v1 import health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from services.kernel.certificates import Certificates
from services.kernel.errors import Unavailable
from services.kernel.grpc.call import Call
from services.kernel.grpc.decode import MOST_BYTES
from services.kernel.grpc.health import Health
from services.kernel.loops import Heartbeat
from services.kernel.policy import STANDARD_METHODS, MethodPolicy, policies_of
from services.kernel.settings import KernelSettings

log = structlog.get_logger(__name__)

Step = Callable[[Call], AbstractAsyncContextManager[None]]
# After so long without any call, none is left that has arrived: grpc hands them over one after another.
QUIET_SECONDS = 0.2
RESTARTING = "this server is being restarted and"
# Answered without the steps.
PROBES = frozenset({"/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/List"})
# grpc has handlers as untyped callables; the contract says what they take and return.
Behaviour = Callable[..., Any]

MOST_METADATA_BYTES = 192 * 1024
OPTIONS = [
    # As channels have it (channel.py): no probes of the bandwidth, each of which wakes two processes twice.
    ("grpc.http2.bdp_probe", 0),
    # Otherwise a second server on the same port would start without an error, and take half of the calls.
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", 4 * MOST_BYTES),
    ("grpc.max_concurrent_streams", 1000),
    # More than the gateway lets through. Beyond the second limit grpc refuses all calls, in its own words;
    # between the two it refuses some at random.
    ("grpc.max_metadata_size", MOST_METADATA_BYTES),
    ("grpc.absolute_max_metadata_size", MOST_METADATA_BYTES),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
]


@dataclass(frozen=True)
class Servicer:
    """One gRPC service: its contract, the generated function that registers it, and the servicer."""

    contract: ServiceDescriptor
    add: Callable[[Any, Any], None]
    instance: object

    @classmethod
    def generated(cls, add: Callable[[Any, Any], None], instance: object) -> Servicer:
        """Finds the contract beside the module of the generated `add_<service>Servicer_to_server`."""
        contracts = sys.modules[add.__module__.removesuffix("_grpc")]
        name = add.__name__.removeprefix("add_").removesuffix("Servicer_to_server")
        return cls(contracts.DESCRIPTOR.services_by_name[name], add, instance)


@dataclass(frozen=True)
class Elsewhere:
    """gRPC services of other servers that this server lists in its reflection and its health service.

    `health` yields (full name, whether it serves) when that becomes known and at each change; it never ends.
    """

    names: Sequence[str]
    health: Callable[[], AsyncIterator[tuple[str, bool]]]


class Server:
    """A gRPC server over mutual TLS, with health, reflection and the steps."""

    def __init__(
        self,
        settings: KernelSettings,
        servicers: Sequence[Servicer],
        steps: Sequence[Step],
        elsewhere: Elsewhere | None = None,
        heartbeats: Sequence[Heartbeat] = (),
        conditions: Mapping[str, Callable[[], bool]] = MappingProxyType({}),
    ) -> None:
        self._names = [servicer.contract.full_name for servicer in servicers]
        self._elsewhere = elsewhere
        self._steps = _Interceptor({**STANDARD_METHODS, **policies_of(self._names)}, steps)
        self._server = grpc.aio.server(interceptors=[self._steps], options=OPTIONS)
        for servicer in servicers:
            servicer.add(servicer.instance, self._server)
        self._health = Health(heartbeats, conditions)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        others = elsewhere.names if elsewhere else []
        reflection.enable_server_reflection(
            [*self._names, *others, "grpc.health.v1.Health", reflection.SERVICE_NAME], self._server
        )
        self.port = self._server.add_secure_port(settings.listen, _credentials(settings))
        if self.port == 0:
            raise SystemExit(f"can't listen on {settings.listen} (CELERIAC_LISTEN): is the port taken?")

    async def start(self) -> None:
        await self._server.start()
        for name in ["", *self._names]:
            await self._health.tell(name, True)
        for name in self._elsewhere.names if self._elsewhere else []:
            await self._health.tell(name, False)
        log.info("server.listening", port=self.port, services=self._names)

    async def follow_elsewhere(self) -> None:
        """A background loop: keeps the health of the services elsewhere up to date, until it is cancelled."""
        assert self._elsewhere is not None
        async for name, serving in self._elsewhere.health():
            await self._health.tell(name, serving)

    async def stop(self, grace: float, drain: float = 0.0) -> None:
        """Answers every call that has arrived, and stops.

        1. The health service says NOT_SERVING. For `drain` seconds the server goes on as before, so that
           load balancers learn of it and send no further calls.
        2. Streams end with UNAVAILABLE, so that their readers connect to another server.
        3. Calls are still taken and answered, until none has come for a moment, at most `grace` seconds.
           grpc cancels calls that it has received and not handed over when it is told to stop.
        4. grpc stops.
        """
        await self._health.enter_graceful_shutdown()
        await asyncio.sleep(drain)
        deadline = time.monotonic() + grace
        self._steps.end_streams()
        await self._steps.quiet(grace)
        await self._server.stop(max(0.0, deadline - time.monotonic()))
        log.info("server.stopped")


def _credentials(settings: KernelSettings) -> grpc.ServerCredentials:
    """Returns credentials that follow a renewal of the certificate: grpc asks before each handshake."""
    certificates = Certificates(settings)
    told = 0

    def configuration() -> Any:
        nonlocal told
        pem = certificates.newest()
        if told == certificates.version:
            return None
        told = certificates.version
        return grpc.ssl_server_certificate_configuration([(pem.key, pem.certificate)], pem.ca)

    return grpc.dynamic_ssl_server_credentials(configuration(), configuration, True)


class _Interceptor(grpc.aio.ServerInterceptor):
    """Puts the steps around every handler, unary or streaming, in their order."""

    def __init__(self, policies: dict[str, MethodPolicy], steps: Iterable[Step]) -> None:
        self._policies = policies
        self._steps = tuple(steps)
        self._streams: set[asyncio.Task[Any]] = set()
        self._stopping = False
        self._running = 0
        # When the last call came or ended, by the monotonic clock.
        self._moved_at = 0.0

    async def quiet(self, most_seconds: float) -> None:
        """Waits until no call is running and none has come for QUIET_SECONDS; at most so many seconds."""
        deadline = time.monotonic() + most_seconds
        began = time.monotonic()
        while (now := time.monotonic()) < deadline:
            if not self._running and not self._streams and now - max(self._moved_at, began) >= QUIET_SECONDS:
                return
            await asyncio.sleep(QUIET_SECONDS / 4)

    @contextmanager
    def _counted(self) -> Iterator[None]:
        self._running += 1
        self._moved_at = time.monotonic()
        try:
            yield
        finally:
            self._running -= 1
            self._moved_at = time.monotonic()

    def end_streams(self) -> None:
        """Ends all response streams with UNAVAILABLE, so that their readers connect again."""
        self._stopping = True
        for stream in self._streams:
            stream.cancel()

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        details: grpc.HandlerCallDetails,
    ) -> Any:
        handler: Any = await continuation(details)
        policy = self._policies.get(details.method)
        if handler is None or policy is None:
            return None  # grpc answers UNIMPLEMENTED
        behaviour = (
            handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream
        )
        kind = {
            (False, False): (grpc.unary_unary_rpc_method_handler, self._unary),
            (False, True): (grpc.unary_stream_rpc_method_handler, self._stream),
            (True, False): (grpc.stream_unary_rpc_method_handler, self._unary),
            (True, True): (grpc.stream_stream_rpc_method_handler, self._stream),
        }
        make, wrap = kind[handler.request_streaming, handler.response_streaming]
        if details.method in PROBES:
            wrap = functools.partial(self._probe, details.method, handler.request_deserializer)
        # Without a deserializer grpc hands over the bytes: parsing happens inside the steps.
        return make(
            wrap(behaviour, functools.partial(Call, details.method, policy, handler.request_deserializer)),
            request_deserializer=None,
            response_serializer=handler.response_serializer,
        )

    @asynccontextmanager
    async def _through_steps(self, call: Call) -> AsyncIterator[Call]:
        async with AsyncExitStack() as passed:
            for step in self._steps:
                await passed.enter_async_context(step(call))
            if not isinstance(call.raw, bytes):
                # A stream of requests may last. The gateway, which gives other requests 15 seconds to arrive,
                # takes this for the beginning of the answer.
                await call.context.send_initial_metadata(())
            yield call

    def _unary(self, behaviour: Behaviour, arriving: Callable[..., Call]) -> Behaviour:
        async def answer(raw: Any, context: Any) -> Message:
            with self._counted():
                return await self._answered(behaviour, arriving(context, raw))

        return answer

    async def _answered(self, behaviour: Behaviour, arrived: Call) -> Message:
        async with self._through_steps(arrived) as call:
            response: Message = await behaviour(call.argument, call.context)
            call.response = response
            return call.to_caller(response)
        raise AssertionError("a step swallowed an exception")

    def _probe(
        self,
        method: str,
        parse: Callable[[bytes], Message],
        behaviour: Behaviour,
        arriving: Callable[..., Call],
    ) -> Behaviour:
        """Answers a health probe without the steps, which only a malformed one goes through.

        Probes come from the gateway and the monitor, each every few seconds; in an idle system they are most
        of what there is to do. The steps have nothing to add: everybody may ask, and nothing is recorded.
        """
        whole_way = self._unary(behaviour, arriving)

        async def answer(raw: bytes, context: Any) -> Message:
            try:
                request = parse(raw)
            except (DecodeError, UnicodeDecodeError, ValueError):
                response: Message = await whole_way(raw, context)
            else:
                response = await behaviour(request, context)
                log.debug("rpc.answered", method=method, code=grpc.StatusCode.OK.name)
            return response

        return answer

    def _stream(self, behaviour: Behaviour, arriving: Callable[..., Call]) -> Behaviour:
        async def answer(raw: Any, context: Any) -> None:
            task = asyncio.current_task()
            assert task is not None
            self._streams.add(task)
            try:
                async with self._through_steps(arriving(context, raw, streams=True)) as call:
                    if self._stopping:
                        raise Unavailable(RESTARTING)
                    await self._write_all(behaviour(call.argument, context), call, task)
            finally:
                self._streams.discard(task)

        return answer

    async def _write_all(self, answers: Any, call: Call, task: asyncio.Task[Any]) -> None:
        try:
            if not inspect.isasyncgen(answers):
                await answers  # a standard servicer, which writes its messages by itself
                return
            messages: Any = answers
            async with aclosing(messages):
                async for message in messages:
                    await call.context.write(call.to_caller(message))
        except asyncio.CancelledError:
            if not self._stopping:
                raise
            task.uncancel()
            raise Unavailable(RESTARTING) from None
