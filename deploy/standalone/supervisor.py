"""Does the steps and starts the components in the order that they need, keeps these running, stops them.

docs/decisions/standalone-supervisor.md says why this is our own code.
"""

from __future__ import annotations

import asyncio
import itertools
import shutil
import time
from collections.abc import Sequence
from functools import partial

from deploy.standalone.brief import readable
from deploy.standalone.child import Child, told
from deploy.standalone.component import Component, Shared, Step
from deploy.standalone.logs import OWN_NAME, Console, LogFile, said
from deploy.standalone.record import ProcessRecord, SystemRecord
from deploy.standalone.settings import StandaloneSettings
from deploy.standalone.starts import Forks
from deploy.standalone.supervised import StartFailed, Supervised
from services.kernel.masking import without_credentials

NURSERY = "nursery"
DISK_FULL = "No space left on device"
DISK_TOLD_SECONDS = 60.0
# A step that takes longer is reported when it is done.
WORTH_TELLING_SECONDS = 1.0


class Supervisor:
    """`start` returns when all are ready; `stop` may be called once it has ended in any way."""

    def __init__(
        self,
        settings: StandaloneSettings,
        steps: Sequence[Step],
        components: Sequence[Component],
        record: SystemRecord,
        console: Console,
        shared: Shared | None = None,
    ) -> None:
        """`shared`: what is done once for all components that are ours; nothing, if it is None."""
        self._settings = settings
        self._steps = steps
        self._components = components
        self._record = record
        self._console = console
        self._files: dict[str, LogFile] = {}
        self._running: list[Supervised] = []
        names = [step.name for step in steps] + [component.name for component in components]
        self._done = {name: asyncio.Event() for name in names}
        self._last_lines: dict[str, str] = {}
        self._disk_told_at = -DISK_TOLD_SECONDS
        self._shared = shared
        self._forks = Forks(self.tell)

    def tell(self, line: str, level: str = "info") -> None:
        """Writes a line for the operator, under the system's own name; in the file as all our lines are."""
        line = without_credentials(line)
        self._console.pass_on(OWN_NAME, line)
        self._keep(OWN_NAME, said(line, level))

    async def start(self) -> None:
        """Starts each step and component as soon as what it needs is there; raises `StartFailed`."""
        self._save()
        if self._shared is not None:
            await self._forks.open(self._shared, partial(self._write, NURSERY))
        failure: StartFailed | None = None
        try:
            async with asyncio.TaskGroup() as group:
                for step in self._steps:
                    group.create_task(self._do(step))
                for component in self._components:
                    group.create_task(self._start(component))
        except* StartFailed as failures:
            # Raised below: an exception raised here would be wrapped into a group again.
            failure = _first(failures)
        if failure is not None:
            said = self._last_lines.get(failure.name)
            raise StartFailed(failure.name, f"{failure}: {said}" if said else str(failure))
        self.enter("ready")

    def enter(self, phase: str) -> None:
        self._record.phase = phase
        self._save()

    async def stop(self, hurry: asyncio.Event) -> None:
        """Stops the components stage by stage; once `hurry` is set, without waiting for their work."""
        self.enter("stopping")
        self._console.stopping = True
        ordered = sorted(self._running, key=lambda one: one.component.stage)
        for _, stage in itertools.groupby(ordered, key=lambda one: one.component.stage):
            ending = list(stage)
            self.tell("stopping " + ", ".join(one.component.name for one in ending))
            await asyncio.gather(*(one.stop(hurry) for one in ending))
        await self._forks.close()
        self.enter("stopped")
        for file in self._files.values():
            file.close()

    async def _do(self, step: Step) -> None:
        await self._wait_for(step.after)
        began = time.monotonic()
        if step.needed is None or await step.needed():
            await self._carry_out(step)
        took = time.monotonic() - began
        if took > WORTH_TELLING_SECONDS:
            self.tell(f"{step.name}: done in {took:.1f} s")
        self._done[step.name].set()

    async def _carry_out(self, step: Step) -> None:
        if step.work is not None:
            try:
                await asyncio.to_thread(step.work)
            except (SystemExit, OSError, ValueError) as fault:
                raise StartFailed(step.name, f"{step.name}: {fault}") from fault
        if step.command:
            await self._run(step)

    async def _run(self, step: Step) -> None:
        child = await Child.start(step.command, step.environment, partial(self._write, step.name))
        try:
            code = await child.ended()
        except asyncio.CancelledError:
            child.kill()
            raise
        if code:
            raise StartFailed(step.name, f"{step.name} {told(code)}")

    async def _start(self, component: Component) -> None:
        await self._wait_for(component.after)
        began = time.monotonic()
        record = self._record.processes.setdefault(component.name, ProcessRecord())
        write = partial(self._write, component.name)
        supervised = Supervised(component, record, write, self.tell, self._save, self._forks.start)
        self._running.append(supervised)
        await supervised.start()
        self.tell(f"{component.name} is ready ({time.monotonic() - began:.1f} s)")
        self._done[component.name].set()

    async def _wait_for(self, names: Sequence[str]) -> None:
        for name in names:
            await self._done[name].wait()

    def _save(self) -> None:
        try:
            self._record.write(self._settings.run)
        except OSError as error:
            self._complain(error)

    def _write(self, name: str, line: str) -> None:
        line = without_credentials(line)
        self._console.pass_on(name, line)
        self._keep(name, line)
        self._last_lines[name] = readable(line)
        if DISK_FULL in line:
            self._tell_disk()

    def _keep(self, name: str, line: str) -> None:
        if name not in self._files:
            self._files[name] = LogFile(self._settings.logs, name, self._complain)
        self._files[name].write(line)

    def _complain(self, fault: BaseException) -> None:
        if DISK_FULL in str(fault):
            self._tell_disk()
        else:
            self._console.pass_on(OWN_NAME, f"a file of the state folder can't be written: {fault}")

    def _tell_disk(self) -> None:
        if time.monotonic() - self._disk_told_at < DISK_TOLD_SECONDS:
            return
        self._disk_told_at = time.monotonic()
        free = shutil.disk_usage(self._settings.state).free // 1_000_000
        self._console.pass_on(
            OWN_NAME,
            f"the disk of {self._settings.state} is full ({free} MB free): make room; what stopped for it "
            "is started again by itself",
        )


def _first(group: BaseExceptionGroup[StartFailed]) -> StartFailed:
    found = group.exceptions[0]
    return _first(found) if isinstance(found, BaseExceptionGroup) else found
