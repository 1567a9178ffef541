"""What a process tells over plain HTTP: /metrics to Prometheus, /livez and /readyz to whoever runs it.

/livez is 200 while the event loop answers. /readyz is 200 once the process serves, and while each of its
checks passes within a bound (the database, the broker, …) and no background loop hangs; else it is 503,
with a line for each check. Any other path is 404. The port answers from the start of the process, so that
"not ready yet" is an answer, too. It has a thread of its own: what keeps the event loop busy must not keep
it from telling so.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TypeAlias

import structlog
from prometheus_client import CollectorRegistry

from services.kernel.exposition import encoded
from services.kernel.logged_errors import for_log
from services.kernel.loops import Heartbeat

log = structlog.get_logger(__name__)

# Raises an exception when what it checks is not well.
Check: TypeAlias = Callable[[], Awaitable[object]]

# The longest that a check may take.
CHECK_SECONDS = 2.0
# For so long an answer is given again, so that probes can't keep the database busy.
KEPT_SECONDS = 1.0
# For how long the server's thread sleeps when nobody asks; it is woken by each connection.
POLL_SECONDS = 3600.0


class Probes:
    """The state of the process: made on its event loop, asked from the server's threads."""

    def __init__(
        self, checks: Mapping[str, Check] | None = None, heartbeats: Sequence[Heartbeat] = ()
    ) -> None:
        self._checks = dict(checks or {})
        self._heartbeats = heartbeats
        self._loop = asyncio.get_running_loop()
        self._serving = False
        self._asking = threading.Lock()
        self._known: tuple[float, bool, str] | None = None

    def serves(self, serving: bool) -> None:
        """Notes that the process has begun to serve, or that it is about to stop."""
        self._serving = serving
        self._known = None

    def live(self) -> tuple[bool, str]:
        """Returns whether the event loop answers."""
        answered = asyncio.run_coroutine_threadsafe(asyncio.sleep(0), self._loop)
        try:
            answered.result(CHECK_SECONDS)
        except concurrent.futures.TimeoutError:
            return False, f"event loop: no answer within {CHECK_SECONDS:g} s\n"
        return True, "event loop: ok\n"

    def ready(self) -> tuple[bool, str]:
        """Returns whether the process serves, and one line for each check."""
        with self._asking:
            if self._known is None or time.monotonic() - self._known[0] > KEPT_SECONDS:
                self._known = time.monotonic(), *self._asked()
            return self._known[1:]

    def _asked(self) -> tuple[bool, str]:
        asked = asyncio.run_coroutine_threadsafe(self._faults(), self._loop)
        try:
            faults = asked.result(2 * CHECK_SECONDS)
        except concurrent.futures.TimeoutError:
            return self.live()
        lines = [f"{name}: {fault or 'ok'}\n" for name, fault in faults.items()]
        return not any(faults.values()), "".join(lines)

    async def _faults(self) -> dict[str, str]:
        """Returns what is wrong with each part; "" if nothing is."""
        names = list(self._checks)
        found = await asyncio.gather(*(_fault_of(self._checks[name]) for name in names))
        # A loop that fails may wait for another service, and must not make this one unready.
        hang = {heartbeat.name: heartbeat.hangs for heartbeat in self._heartbeats if heartbeat.hangs}
        loops = "; ".join(f"{name} has not come back for {hang[name]:.0f} s" for name in sorted(hang))
        serving = "" if self._serving else "not yet, or no longer"
        return {"serving": serving, **dict(zip(names, found, strict=True)), "loops": loops}


async def _fault_of(check: Check) -> str:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            await check()
    except TimeoutError:
        return f"no answer within {CHECK_SECONDS:g} s"
    except Exception as error:
        # A check that fails in any way is an answer, and must not end the process.
        return for_log(error)
    return ""


def serve(probes: Probes, registry: CollectorRegistry, host: str, port: int) -> None:
    """Answers on this port until the process ends; with port 0, it does not."""
    if port:
        answer(listen(host, port), probes, registry)


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """Logs what went wrong with one client. The base class prints it, in lines that are no JSON.

        Who asked may have left meanwhile, as a scraper does whose time is over: that is no fault.
        """
        error = sys.exc_info()[1]
        if isinstance(error, ConnectionError | TimeoutError):
            log.debug("probes.client_gone", error=for_log(error))
        elif error is not None:
            log.error("probes.failed", error=for_log(error), exc_info=error)


def listen(host: str, port: int) -> ThreadingHTTPServer:
    """Takes the port. Raises SystemExit if it can't: another process would answer probes of this one."""
    try:
        return _Server((host, port), BaseHTTPRequestHandler)
    except OSError as error:
        at = f"{host}:{port} (CELERIAC_METRICS_PORT)"
        raise SystemExit(f"can't listen on {at}: is the port taken? ({error.strerror})") from None


def answer(server: ThreadingHTTPServer, probes: Probes, registry: CollectorRegistry) -> None:
    """Answers on the server's port until the process ends."""
    server.RequestHandlerClass = _handler(probes, registry)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=[POLL_SECONDS], name="probes", daemon=True).start()


def _handler(probes: Probes, registry: CollectorRegistry) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        # A client that sends nothing must not keep a thread.
        timeout = 10.0

        def do_GET(self) -> None:
            match self.path.partition("?")[0]:
                case "/metrics":
                    self._answer(HTTPStatus.OK, *encoded(registry, self.headers.get("accept", "")))
                case "/livez":
                    self._tell(*probes.live())
                case "/readyz":
                    self._tell(*probes.ready())
                case _:
                    self._answer(HTTPStatus.NOT_FOUND, b"there are /metrics, /livez and /readyz\n")

        def _tell(self, well: bool, lines: str) -> None:
            self._answer(HTTPStatus.OK if well else HTTPStatus.SERVICE_UNAVAILABLE, lines.encode())

        def _answer(self, status: HTTPStatus, body: bytes, kind: str = "text/plain; charset=utf-8") -> None:
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Probes come every few seconds; they are not logged."""

    return Handler
