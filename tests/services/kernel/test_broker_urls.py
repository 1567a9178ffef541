"""A broker behind users, TLS or a Unix socket: every way in which a process of ours uses it works."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from celery import Celery
from pydantic import SecretStr

from deploy.standalone.tokens import LocalIssuer
from services.kernel import broker
from services.kernel.settings import KernelSettings
from services.monitor.intake.subscription import EventSource, Subscription
from tests.support.calls import eventually
from tests.support.ports import free_port
from tests.support.settings import kernel_settings

SERVER = shutil.which("redis-server")
KINDS = ("users", "tls", "socket")


def arguments(kind: str, folder: Path, port: int, state: Path) -> list[str]:
    certs = state / "certs"
    match kind:
        case "users":
            rules = "--user celeriac on >s3cret/ ~* &* +@all --user default off"
            return ["--port", str(port), *rules.split()]
        case "tls":
            tls = ["--tls-cert-file", certs / "monitor.crt", "--tls-key-file", certs / "monitor.key"]
            tls += ["--tls-ca-cert-file", state / "ca.pem", "--tls-auth-clients", "yes"]
            return ["--port", "0", "--tls-port", str(port), *map(str, tls)]
        case _:
            return ["--port", "0", "--unixsocket", str(folder / "redis.sock")]


def url_of(kind: str, folder: Path, port: int, state: Path, database: int) -> str:
    certs = state / "certs"
    match kind:
        case "users":
            return f"redis://celeriac:s3cret%2F@127.0.0.1:{port}/{database}"
        case "tls":
            files = (
                f"ssl_ca_certs={state}/ca.pem&ssl_certfile={certs}/worker.crt&ssl_keyfile={certs}/worker.key"
            )
            return f"rediss://127.0.0.1:{port}/{database}?{files}"
        case _:
            return f"unix://{folder}/redis.sock?db={database}"


@pytest.fixture(params=KINDS)
def settings(
    request: pytest.FixtureRequest, certificates: Path, tokens: LocalIssuer
) -> Iterator[KernelSettings]:
    """Settings with the URLs of a server of this kind, which runs."""
    if SERVER is None:
        pytest.skip("Debian's redis-server is not installed; the one from a wheel has no TLS")
    kind, port = request.param, free_port()
    # Short: a Unix socket's path may have about 100 characters.
    with tempfile.TemporaryDirectory(prefix="celeriac-redis-", dir="/tmp") as name:
        folder = Path(name)
        command = [SERVER, "--dir", name, "--save", "", *arguments(kind, folder, port, certificates)]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        urls = [SecretStr(url_of(kind, folder, port, certificates, database)) for database in (2, 3)]
        found = kernel_settings(certificates, tokens, "monitor")
        try:
            yield found.model_copy(update={"broker_url": urls[0], "result_url": urls[1]})
        finally:
            process.terminate()
            process.wait()


# Celery's own call, when it stores a result.
@pytest.mark.filterwarnings("ignore:Call to deprecated setex:DeprecationWarning")
def test_a_message_is_put_on_its_queue_and_a_result_is_kept(settings: KernelSettings) -> None:
    app = Celery("plain", broker=broker.broker_url(settings), backend=broker.backend_url(settings))
    app.conf.broker_connection_retry = True
    with redis.Redis.from_url(broker.broker_address(settings).for_redis) as client:
        eventually(lambda: _answers(client))
        app.send_task("sweep", task_id="t-1", queue="ai_analysis")
        assert client.llen("ai_analysis") == 1
    app.backend.store_result("t-1", {"rows": 3}, "SUCCESS")
    assert app.AsyncResult("t-1").result == {"rows": 3}
    app.close()


async def test_the_publisher_and_the_subscription_to_events_work(settings: KernelSettings) -> None:
    async with broker.connect(settings) as client:
        await asyncio.to_thread(
            eventually, lambda: _answers(redis.Redis.from_url(broker.broker_address(settings).for_redis))
        )
        assert await client.ping()
        listening, source = asyncio.Event(), EventSource(broker.broker_address(settings))
        subscription = Subscription(source, on_listening=listening.set)
        batches = subscription.batches()
        waiting = asyncio.ensure_future(anext(batches))
        async with asyncio.timeout(30):
            await listening.wait()
            await client.publish("/2.celeryev/worker.heartbeat", b"{}")
            assert list(await waiting) == [b"{}"]
        await batches.aclose()


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.exceptions.ConnectionError:
        return False
