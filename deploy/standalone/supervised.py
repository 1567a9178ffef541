"""Keeps one component running: restarts it when it dies, after longer pauses while it keeps dying."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable

from deploy.standalone import probes
from deploy.standalone.child import Child, told
from deploy.standalone.component import Component
from deploy.standalone.logs import Tell
from deploy.standalone.record import ProcessRecord, created_at
from deploy.standalone.starts import Start, by_command
from services.kernel import stacks

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
# If it ran for longer than this, its end counts as the first failure of a new series.
STEADY_SECONDS = 60.0
PROBE_SECONDS = 0.2
READY_SECONDS = 120.0
# The start fails if a component dies so often before it was ever ready.
TRIES = 3
HURRY_SECONDS = 3.0
HELD_LOOK_SECONDS = 0.5
STACKS_SECONDS = 0.5


class StartFailed(Exception):
    """The system can't start because of the step or component `name`; the text says why."""

    def __init__(self, name: str, fault: str) -> None:
        super().__init__(fault)
        self.name = name


def pause_before_restart(failures: int) -> float:
    """Returns the seconds to wait after so many failures in a row: 0.5 s, doubled each time up to 30 s."""
    return min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(failures - 1, 20))


class Supervised:
    """One component, which `start` starts.

    `tell` gets lines for the operator; `changed` is called when the record changes.
    """

    def __init__(
        self,
        component: Component,
        record: ProcessRecord,
        on_line: Callable[[str], None],
        tell: Tell,
        changed: Callable[[], None],
        start: Start = by_command,
    ) -> None:
        self.component = component
        self.record = record
        self._on_line = on_line
        self._tell = tell
        self._changed = changed
        self._start = start
        self._child: Child | None = None
        self._stopping = asyncio.Event()
        self._spawning = asyncio.Lock()
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Starts it, and waits until it is ready for the first time; raises `StartFailed`."""
        self._task = asyncio.create_task(self._keep_running(), name=self.component.name)
        await asyncio.shield(self._ready)

    async def _keep_running(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            began = time.monotonic()
            code = await self._live_once()
            if code is None or self._stopping.is_set():
                break
            if self._is_held():
                await self._while_held()
                failures = 0
                continue
            failures = 1 if time.monotonic() - began > STEADY_SECONDS else failures + 1
            if not self._ready.done() and failures >= TRIES:
                self._note("stopped", None)
                name = self.component.name
                self._ready.set_exception(StartFailed(name, f"{name} {told(code)}, {TRIES} times"))
                return
            await self._pause(code, pause_before_restart(failures))
        self._note("stopped", None)

    def _is_held(self) -> bool:
        return self.component.held is not None and self.component.held.exists()

    async def _while_held(self) -> None:
        """Waits until the system is started again, or is stopped."""
        self._note("held", None)
        self._tell(f"{self.component.name} has ended, as the system is shut down; it is held until its start")
        while self._is_held() and not self._stopping.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), HELD_LOOK_SECONDS)

    async def _live_once(self) -> int | None:
        async with self._spawning:
            if self._stopping.is_set():
                return None
            self._child = await self._start(self.component, self._on_line)
        self._note("starting", self._child.pid)
        watching = asyncio.create_task(self._watch_readiness())
        code = await self._child.ended()
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        self._child = None
        self.record.last_exit = code
        return code

    async def _watch_readiness(self) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while fault := await probes.ask(self.component.probe):
            if time.monotonic() > deadline and not self._ready.done():
                name = self.component.name
                await self._ask_for_stacks()
                late = f"{name} is not ready after {READY_SECONDS:.0f} s ({fault})"
                self._ready.set_exception(StartFailed(name, late))
                return
            await asyncio.sleep(PROBE_SECONDS)
        self.record.state = "running"
        self._changed()
        if self._ready.done():
            self._tell(f"{self.component.name} is running again")
        else:
            self._ready.set_result(None)

    async def _pause(self, code: int, seconds: float) -> None:
        self.record.restarts += 1
        self._note("restarting", None)
        self._tell(f"{self.component.name} {told(code)}; started again in {seconds:g} s", "warning")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)

    async def stop(self, hurry: asyncio.Event) -> None:
        """Asks it to end, and waits; kills it when its time is over, or soon after `hurry` is set."""
        async with self._spawning:
            self._stopping.set()
        if self._task is None:
            return
        if self._child is not None:
            self._note("stopping", self._child.pid)
            self._child.send(self.component.stop)
            await self._until_ended(self.component.stop_seconds, hurry)
        if self._child is not None:
            self._child.send(self.component.hurry)
            await self._until_ended(HURRY_SECONDS)
        if self._child is not None:
            await self._ask_for_stacks()
        if self._child is not None:
            self._tell(f"{self.component.name} does not end; killed", "warning")
            self._child.kill()
        await self._task

    async def _until_ended(self, seconds: float, or_sooner: asyncio.Event | None = None) -> None:
        assert self._task is not None
        waiting = {self._task}
        if or_sooner is not None:
            waiting.add(asyncio.create_task(_set(or_sooner)))
        _, pending = await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for one in pending - {self._task}:
            one.cancel()

    async def _ask_for_stacks(self) -> None:
        """Has it write into its log where it stands, before it is ended for not doing what it should."""
        if self._child is not None and self.component.tells_stacks:
            self._child.send(stacks.ASKED_BY)
            await asyncio.sleep(STACKS_SECONDS)

    def _note(self, state: str, pid: int | None) -> None:
        self.record.state = state
        self.record.pid = pid
        self.record.created_at = created_at(pid) if pid else None
        self._changed()


async def _set(event: asyncio.Event) -> None:
    await event.wait()
