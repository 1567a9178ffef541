"""Health probes. Each uses the component as its clients do, and raises `Unwell` with what is wrong."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import asyncpg
import grpc
import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from deploy.standalone.call_errors import in_words
from deploy.standalone.ports import HOST
from services.kernel.others_messages import LEFT_ALONE

Probe = Callable[[], Awaitable[None]]

ANSWER_SECONDS = 5.0
IMPORTING = threading.Lock()


class Unwell(Exception):
    """The component is not well; the text says why in a few words."""


async def ask(probe: Probe) -> str | None:
    """Runs a probe; returns None when all is well, else what is wrong."""
    try:
        async with asyncio.timeout(ANSWER_SECONDS + 1):
            await probe()
    except Unwell as fault:
        return str(fault)
    except TimeoutError:
        return f"no answer in {ANSWER_SECONDS:.0f} s"
    except OSError as error:
        return error.strerror or str(error)
    except Exception as error:
        # An error of the probe itself is reported like any other fault: watching must go on.
        return f"{type(error).__name__}: {error}"
    return None


async def postgres(url: str) -> None:
    """Logs in and runs a query."""
    try:
        connection = await asyncpg.connect(url, timeout=ANSWER_SECONDS)
        try:
            await connection.fetchval("SELECT 1", timeout=ANSWER_SECONDS)
        finally:
            await connection.close(timeout=ANSWER_SECONDS)
    except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise Unwell(str(error)) from error


async def valkey(port: int, password: str) -> None:
    """Sends AUTH and PING; while Valkey loads its data, the answer is an error."""
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        writer.write(f"AUTH {password}\r\nPING\r\n".encode())
        answer = ""
        for _ in ("AUTH", "PING"):
            answer = (await reader.readline()).decode("utf-8", "replace").strip()
            if answer.startswith("-"):
                break
    finally:
        writer.close()
    if answer != "+PONG":
        raise Unwell(answer.lstrip("-") or "no answer")


async def service(state: Path, address: str) -> None:
    """The standard health check over mutual TLS, as the gateway does it."""
    await _listens(address)
    credentials = grpc.ssl_channel_credentials(
        (state / "ca.pem").read_bytes(),
        (state / "certs/gateway.key").read_bytes(),
        (state / "certs/gateway.crt").read_bytes(),
    )
    async with grpc.aio.secure_channel(address, credentials) as channel:
        try:
            answer = await health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(), timeout=ANSWER_SECONDS
            )
        except grpc.aio.AioRpcError as error:
            raise Unwell(in_words(error)) from error
    if answer.status != health_pb2.HealthCheckResponse.SERVING:
        raise Unwell(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))


async def _listens(address: str) -> None:
    # Checked first: while a service starts, a refused connection costs less than the attempts of a channel.
    host, _, port = address.rpartition(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.close()


async def envoy(admin_socket: Path) -> None:
    """Asks Envoy's admin page whether Envoy has its configuration and listens."""
    told = await _page(*await asyncio.open_unix_connection(admin_socket), "/ready")
    if told is not None:
        raise Unwell(told.lower())


async def ready(port: int) -> None:
    """Asks a process without calls, on its metrics port, whether it does its work."""
    told = await _page(*await asyncio.open_connection(HOST, port), "/readyz")
    if told is not None:
        raise Unwell("; ".join(line for line in told.splitlines() if not line.endswith(": ok")))


async def _page(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str) -> str | None:
    """Returns None if the page says that all is well (status 200), else its text."""
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n".encode())
        answer = (await reader.read()).decode("utf-8", "replace")
    finally:
        writer.close()
    if " 200 " in answer.partition("\r\n")[0] + " ":
        return None
    return answer.rpartition("\r\n\r\n")[2].strip() or "no answer"


async def worker(broker_url: str, node: str) -> None:
    """Celery's ping, answered by the worker's main process."""
    if not await _in_a_thread(partial(_ping, broker_url, node)):
        raise Unwell("does not answer Celery's ping")


def _in_a_thread(asked: Callable[[], bool]) -> asyncio.Future[bool]:
    """Unlike asyncio.to_thread, whose thread the program waits for at its end: this one may hang."""
    answer: concurrent.futures.Future[bool] = concurrent.futures.Future()
    # From now on it can't be cancelled: who does not wait any more leaves it alone.
    answer.set_running_or_notify_cancel()

    def ask_now() -> None:
        try:
            answer.set_result(asked())
        except Exception as error:
            answer.set_exception(error)

    threading.Thread(target=ask_now, name="ping", daemon=True).start()
    return asyncio.wrap_future(answer)


def _ping(broker_url: str, node: str) -> bool:
    with IMPORTING:
        # Imported here: it takes half a second, and only these probes need it. By one thread at a time: the
        # package replaces itself on import.
        import kombu.exceptions
        from celery import Celery

    with Celery("celeriac-ping", broker=broker_url, set_as_current=False) as app:
        # Without a limit kombu would try for ever, and the thread would outlive the probe.
        limits = {
            "max_retries": 1,
            "interval_start": 0,
            "interval_max": 0.1,
            "socket_timeout": ANSWER_SECONDS,
        }
        app.conf.broker_transport_options = {**limits, **LEFT_ALONE}
        try:
            # With a limit it returns at the first answer, not after the whole time-out.
            return bool(app.control.ping(destination=[node], timeout=ANSWER_SECONDS / 2, limit=1))
        except (kombu.exceptions.OperationalError, OSError):
            return False
