"""`make up`: starts the system in a state folder, which may be empty, and stops it in order."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import shutil
import signal
import ssl
import sys
import time
from typing import Any

import grpc
import grpc.aio
from celeriac.channel import connect
from celeriac.scheduler.v1 import schedules_pb2, schedules_pb2_grpc
from pydantic import SecretStr

from deploy.envoy.settings import load_settings as load_gateway_settings
from deploy.standalone import (
    browser,
    first_start,
    foreign_broker,
    foreign_database,
    guide,
    servers,
    system,
    valkey,
)
from deploy.standalone.brief import FIRST_START
from deploy.standalone.lock import running_alone
from deploy.standalone.logs import Console
from deploy.standalone.ports import HOST, Ports, refuse_taken
from deploy.standalone.record import SystemRecord, end_leftovers
from deploy.standalone.role_passwords import ensure_passwords
from deploy.standalone.settings import StandaloneSettings
from deploy.standalone.state_folder import close_to_others, make_folders, refuse_other_folders
from deploy.standalone.supervised import StartFailed
from deploy.standalone.supervisor import Supervisor
from deploy.standalone.tokens import LocalIssuer
from services.kernel.variables import unknown

FIRST_START_MB, LATER_START_MB = 500, 100
DOOR_SECONDS = 60.0
INFO = "/celery-admin/system/info"
HEALTH = "/celery-admin/system/health"


def up(settings: StandaloneSettings) -> int:
    """Runs the system until Ctrl-C or SIGTERM; returns the exit code."""
    if sys.platform not in ("linux", "darwin"):
        raise SystemExit("the one-machine system needs Linux or macOS; on Windows use WSL")
    load_gateway_settings()  # Reports a wrong value now, not after a minute.
    console = Console(brief=sys.stdout.isatty())
    if ignored := unknown():
        console.say(f"setup: ignored, as Celeriac has no such variables: {', '.join(ignored)}")
    refuse_other_folders(settings.state)
    # A start that is refused in a new place leaves nothing there. Where a system was before, the ports are
    # looked at after what it may have left running was ended.
    new = not settings.run.exists()
    if new:
        settings = _checked(settings)
    make_folders(settings)
    with running_alone(settings.run):
        for name in end_leftovers(settings.run):
            console.say(f"setup: {name} was left running by a copy that was killed; ended")
        close_to_others(settings)
        if not new:
            settings = _checked(settings)
        _make_passwords(settings)
        servers.remember(settings)
        if line := servers.told(settings):
            console.say(line)
        system.refuse_wrong_settings(settings)
        return asyncio.run(_Run(settings, console).until_stopped())


def _checked(settings: StandaloneSettings) -> StandaloneSettings:
    """Returns the settings with the database to use on a server that the operator names.

    Raises SystemExit if ports, disk, or a server that is named can't be used. Makes nothing in the folder.
    """
    refuse_taken(Ports(settings.gateway_port), without_valkey=not settings.own_valkey)
    _refuse_small_disk(settings)
    foreign_broker.refuse_unusable(settings)
    if settings.database_url is None:
        return settings
    chosen = asyncio.run(foreign_database.choose(settings.database_url.get_secret_value()))
    return settings.model_copy(update={"database_url": SecretStr(chosen)})


def _make_passwords(settings: StandaloneSettings) -> None:
    if settings.own_valkey:
        valkey.ensure_password(settings.state)
    if settings.database_url is not None:
        ensure_passwords(settings.state)


def _refuse_small_disk(settings: StandaloneSettings) -> None:
    needed = FIRST_START_MB if system.is_first_start(settings) else LATER_START_MB
    there = next(folder for folder in (settings.state, *settings.state.parents) if folder.exists())
    free = shutil.disk_usage(there).free // 1_000_000
    if free < needed:
        raise SystemExit(
            f"the disk of {settings.state} has {free} MB free, and a start needs {needed} MB: make room, "
            "or put the state on another disk: make up CELERIAC_STATE_DIR=/other/disk/celeriac"
        )


class _Run:
    """The system, from its start to its stop."""

    def __init__(self, settings: StandaloneSettings, console: Console) -> None:
        self._settings = settings
        self._console = console
        self._issuer = LocalIssuer(settings.state)
        self._supervisor = Supervisor(
            settings,
            system.steps(settings),
            system.components(settings),
            SystemRecord(os.getpid(), settings.gateway_port),
            console,
            system.shared(settings),
        )
        self._stop, self._hurry = asyncio.Event(), asyncio.Event()

    async def until_stopped(self) -> int:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, self._on_signal)
        failure: StartFailed | None = None
        starting = asyncio.create_task(self._become_ready())
        stopping = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                starting.result()
                await stopping
        except StartFailed as error:
            failure = error
            self._supervisor.tell(f"the start failed: {failure}", "error")
        finally:
            starting.cancel()
            await asyncio.gather(starting, return_exceptions=True)
            await self._supervisor.stop(self._hurry)
            self._console.say(f"stopped; the data stay in {self._settings.state}")
        if failure is None:
            return 0
        # Once more at the end, where a person looks: what stops says much, too.
        self._console.say(f"what was said before is above, and whole in {self._settings.logs}")
        self._console.say(f"the start failed: {failure}")
        return 1

    def _on_signal(self) -> None:
        if self._stop.is_set():
            self._hurry.set()
        else:
            self._console.say("stopping; once more hurries")
            self._stop.set()

    async def _become_ready(self) -> None:
        began = time.monotonic()
        if system.is_first_start(self._settings):
            self._supervisor.tell(f"first start: making {self._settings.state}")
        self._settings.ready_file.unlink(missing_ok=True)
        # A shutdown by the API ends with a new start.
        self._settings.held_file.unlink(missing_ok=True)
        await self._supervisor.start()
        await self._answers(HEALTH, self._issuer.mint("viewer", subject=FIRST_START))
        schedules = await self._first_start()
        self._settings.ready_file.touch()
        await self._answers(INFO)
        now = dt.datetime.now(dt.UTC)
        lines = [
            f"ready: https://{HOST}:{self._settings.gateway_port} after {time.monotonic() - began:.1f} s",
            *browser.how_to_open(await asyncio.to_thread(browser.new_link, self._settings)),
            *browser.how_to_trust(self._settings),
            *guide.how_to_look(self._settings),
            *guide.what_runs_next(schedules, self._settings.time_zone, now),
            f"Ctrl-C stops everything and keeps the data; {guide.what_looks_at_it(self._settings)}.",
        ]
        for line in lines:
            self._console.say(line)

    async def _answers(self, path: str, token: str = "") -> None:
        """Waits until a GET through the gateway to a service succeeds; raises `StartFailed`."""
        deadline = time.monotonic() + DOOR_SECONDS
        while (answer := await _get(self._settings, path, token)) != 200:
            if time.monotonic() > deadline:
                raise StartFailed(
                    "gateway", f"GET {path} through the gateway gives {answer} after {DOOR_SECONDS:.0f} s"
                )
            await asyncio.sleep(0.1)

    async def _first_start(self) -> list[schedules_pb2.Schedule]:
        target = f"{HOST}:{self._settings.gateway_port}"
        token = self._issuer.mint("admin", subject=FIRST_START)
        async with connect(target, token=token, ca=self._settings.state / "ca.pem") as gateway:
            try:
                if self._settings.gives_examples:
                    await first_start.give(
                        servers.owner_url(self._settings),
                        gateway,
                        self._settings.time_zone,
                        self._supervisor.tell,
                        self._settings.prefix,
                    )
                stub: Any = schedules_pb2_grpc.ScheduleServiceStub(gateway)
                listed = await stub.ListSchedules(
                    schedules_pb2.ListSchedulesRequest(page_size=20), timeout=30
                )
            except grpc.aio.AioRpcError as error:
                raise StartFailed(
                    "gateway", f"the first calls through the gateway: {error.details()}"
                ) from error
        return list(listed.schedules)


async def _get(settings: StandaloneSettings, path: str, token: str) -> int | str:
    """Returns the HTTP status of a GET through the gateway, or what went wrong."""
    try:
        context = ssl.create_default_context(cafile=settings.state / "ca.pem")
        reader, writer = await asyncio.open_connection(HOST, settings.gateway_port, ssl=context)
        try:
            shown = f"authorization: Bearer {token}\r\n" if token else ""
            writer.write(f"GET {path} HTTP/1.1\r\nhost: {HOST}\r\n{shown}connection: close\r\n\r\n".encode())
            status = await asyncio.wait_for(reader.readline(), 10)
            # "HTTP/1.1 200 OK"
            return int(status[len("HTTP/1.1 ") :][:3])
        finally:
            writer.close()
    except (OSError, TimeoutError, ValueError) as error:
        return f"an error ({error})"
