"""/livez and /readyz: what they answer while a process starts, works, is cut off, hangs and stops."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping
from http import HTTPStatus

import pytest
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from services.kernel.loops import Heartbeat
from services.kernel.probes import CHECK_SECONDS, Check, Probes, serve
from tests.support.ports import free_port


class Asked:
    """Probes of this process, asked over HTTP."""

    def __init__(self, checks: Mapping[str, Check] | None = None, *heartbeats: Heartbeat) -> None:
        registry = CollectorRegistry()
        Counter("celeriac_things", "Things", registry=registry)
        self.probes = Probes(checks, heartbeats)
        self.port = free_port()
        serve(self.probes, registry, "127.0.0.1", self.port)

    def get_now(self, path: str) -> tuple[HTTPStatus, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=30) as answer:
                return HTTPStatus(answer.status), answer.read().decode()
        except urllib.error.HTTPError as refused:
            return HTTPStatus(refused.code), refused.read().decode()

    async def get(self, path: str) -> tuple[HTTPStatus, str]:
        return await asyncio.to_thread(self.get_now, path)


async def well() -> None: ...


async def test_a_process_is_ready_from_when_it_serves_until_it_stops() -> None:
    asked = Asked({"database": well})
    assert await asked.get("/livez") == (HTTPStatus.OK, "event loop: ok\n")
    status, lines = await asked.get("/readyz")
    assert status is HTTPStatus.SERVICE_UNAVAILABLE
    assert "serving: not yet" in lines and "database: ok" in lines
    asked.probes.serves(True)
    assert (await asked.get("/readyz"))[0] is HTTPStatus.OK
    asked.probes.serves(False)
    assert (await asked.get("/readyz"))[0] is HTTPStatus.SERVICE_UNAVAILABLE


async def test_a_check_that_fails_or_hangs_makes_it_not_ready_and_is_named() -> None:
    async def away() -> None:
        raise ConnectionError("the database takes no connections now")

    async def hangs() -> None:
        await asyncio.Event().wait()

    asked = Asked({"database": away, "broker": hangs, "events": well})
    asked.probes.serves(True)
    status, lines = await asked.get("/readyz")
    assert status is HTTPStatus.SERVICE_UNAVAILABLE
    assert "database: ConnectionError" in lines
    assert f"broker: no answer within {CHECK_SECONDS:g} s" in lines
    assert "events: ok" in lines
    assert (await asked.get("/livez"))[0] is HTTPStatus.OK


async def test_a_loop_that_hangs_makes_it_not_ready_and_one_that_fails_does_not() -> None:
    clock = 0.0
    heartbeat = Heartbeat("sweep", lambda: clock)
    asked = Asked({}, heartbeat)
    asked.probes.serves(True)
    assert (await asked.get("/readyz"))[0] is HTTPStatus.OK
    clock = 90.0
    asked.probes.serves(True)
    status, lines = await asked.get("/readyz")
    assert status is HTTPStatus.SERVICE_UNAVAILABLE
    assert "loops: sweep has not come back for 90 s" in lines
    heartbeat.failed()
    asked.probes.serves(True)
    assert (await asked.get("/readyz"))[0] is HTTPStatus.OK


async def test_an_event_loop_that_hangs_is_not_alive() -> None:
    asked = Asked()
    waiting = asyncio.get_running_loop().run_in_executor(None, asked.get_now, "/livez")
    time.sleep(CHECK_SECONDS + 1.0)  # noqa: ASYNC251 - this is what hangs it
    status, lines = await waiting
    assert status is HTTPStatus.SERVICE_UNAVAILABLE
    assert "no answer within" in lines


async def test_metrics_are_on_the_same_port_and_nothing_else_is() -> None:
    asked = Asked()
    status, page = await asked.get("/metrics")
    assert status is HTTPStatus.OK and "celeriac_things_total 0.0" in page
    for path in ("/", "/healthz", "/metrics/", "/livez/x"):
        assert (await asked.get(path))[0] is HTTPStatus.NOT_FOUND


async def test_an_answer_is_kept_for_a_moment_so_that_probes_do_not_load_the_database() -> None:
    count = 0

    async def counted() -> None:
        nonlocal count
        count += 1

    asked = Asked({"database": counted})
    asked.probes.serves(True)
    await asyncio.gather(*(asked.get("/readyz") for _ in range(20)))
    assert count == pytest.approx(1, abs=2)


class SlowMetrics(Collector):
    """Told when the test says so: more than a socket's buffers hold."""

    def __init__(self) -> None:
        self.asked, self.may_tell = threading.Event(), threading.Event()

    def collect(self) -> Iterable[Metric]:
        self.asked.set()
        self.may_tell.wait(30)
        yield Metric("celeriac_things", "x" * 8_000_000, "gauge")


async def test_a_scraper_that_leaves_before_its_answer_is_no_fault(capfd: pytest.CaptureFixture[str]) -> None:
    metrics, registry, port = SlowMetrics(), CollectorRegistry(), free_port()
    metrics.may_tell.set()
    registry.register(metrics)  # which collects once, for the names
    metrics.asked.clear()
    metrics.may_tell.clear()
    serve(Probes(), registry, "127.0.0.1", port)
    before = set(threading.enumerate())
    with socket.create_connection(("127.0.0.1", port)) as scraper:
        # Its end is a reset of the connection.
        scraper.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        scraper.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        assert await asyncio.to_thread(metrics.asked.wait, 30)
        answering = set(threading.enumerate()) - before
    metrics.may_tell.set()
    # Beside the one that answers there may be one of asyncio's, which does not end.
    for thread in (each for each in answering if "process_request" in each.name):
        await asyncio.to_thread(thread.join, 30)
        assert not thread.is_alive()
    assert capfd.readouterr().err == ""
