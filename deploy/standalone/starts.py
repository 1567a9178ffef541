"""Starts components: forks those of our own from a nursery, and runs the commands of the others.

docs/decisions/standalone-nursery.md
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

from deploy.standalone.child import Child, told
from deploy.standalone.component import Component, Shared
from deploy.standalone.logs import Tell
from deploy.standalone.nursery.client import Nursery, Unable

# Gets a process's lines of output.
OnLine: TypeAlias = Callable[[str], None]
Start: TypeAlias = Callable[[Component, OnLine], Awaitable[Child]]


async def by_command(component: Component, on_line: OnLine) -> Child:
    """Starts a component by its command."""
    return await Child.start(
        component.command,
        component.environment,
        on_line,
        user=component.user,
        death_signal=component.stop,
    )


class Forks:
    """Starts that share a nursery. Without one, or after its end, all start by their commands."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._nursery: Nursery | None = None
        self._process: Child | None = None
        self._watching: asyncio.Task[None] | None = None
        # One asks at a time; the others wait here, and hold no threads meanwhile.
        self._asking = asyncio.Lock()

    async def open(self, shared: Shared, on_line: OnLine) -> None:
        """Starts the nursery, where the system can fork from one; does not wait for its imports."""
        if not _can_fork():
            return
        self._nursery = Nursery(shared.environment)
        command, theirs = self._nursery.command(shared.imports), self._nursery.theirs
        self._process = await Child.start(
            command, shared.environment, on_line, pass_descriptors=[theirs.fileno()]
        )
        theirs.close()
        self._watching = asyncio.create_task(self._watch(self._process))

    async def start(self, component: Component, on_line: OnLine) -> Child:
        module = component.module
        if self._nursery is not None and self._process is not None and module and component.user is None:
            nursery, process = self._nursery, self._process
            try:
                return await self._forked(nursery, component, module, on_line)
            except Unable as error:
                self._tell(f"{component.name} is started by its own command: {error}")
                if not nursery.usable:
                    process.kill()
        return await by_command(component, on_line)

    async def _forked(
        self, nursery: Nursery, component: Component, module: Sequence[str], on_line: OnLine
    ) -> Child:
        reads, writes = os.pipe()
        try:
            async with self._asking:
                pid = await asyncio.to_thread(
                    nursery.start, module[0], module[1:], component.environment, writes, component.stop
                )
        except BaseException:
            os.close(reads)
            raise
        finally:
            os.close(writes)
        return await Child.forked(pid, reads, on_line)

    async def _watch(self, process: Child) -> None:
        code = await process.ended()
        # What it has started goes on, as it is this process's own.
        async with self._asking:
            self._give_up()
        self._tell(
            f"the nursery {told(code)}; from now on each process is started by its own command", "warning"
        )

    async def close(self) -> None:
        """Ends the nursery."""
        if self._watching is None or self._process is None:
            return
        self._watching.cancel()
        self._process.kill()
        await self._process.ended()
        self._give_up()

    def _give_up(self) -> None:
        if self._nursery is not None:
            self._nursery.close()
            self._nursery = None


def _can_fork() -> bool:
    """Whether a nursery's children become this process's own, and it can wait for their ends."""
    if sys.platform != "linux":
        return False
    with contextlib.suppress(OSError):
        os.close(os.pidfd_open(os.getpid()))
        return True
    return False
