"""Processes that are forked from a nursery are as those that are started by their commands."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from deploy.standalone.child import Child
from deploy.standalone.component import Component, Shared
from deploy.standalone.starts import Forks
from services.kernel import stacks

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing is forked")

# What the nursery imports: it takes a note of the process that did so.
IMPORTED = """
import os
IMPORTED_BY, CALLED_BY = os.getpid(), None
def call():
    global CALLED_BY
    CALLED_BY = os.getpid()
"""
# A component of ours. It first tells of itself; then it waits.
TELLS = """
import json, os, random, signal, sys
import nursery_test_imported as imported
signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
print(json.dumps({
    "name": __name__, "arguments": sys.argv[1:], "told": os.environ.get("TOLD"), "dice": random.random(),
    "session": os.getsid(0) == os.getpid(), "parent": os.getppid(), "imported_by": imported.IMPORTED_BY,
    "called_by": imported.CALLED_BY,
    "umask": os.umask(0o77), "stdin": os.read(0, 1).decode(), "threads": len(os.listdir("/proc/self/task")),
    "descriptors": sorted(map(int, os.listdir("/proc/self/fd")))[:-1],
}), flush=True)
def stands_here():
    while True: signal.pause()
stands_here()
"""


async def well() -> None:
    """A probe that is always content."""


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while True:
            if holds():
                return
            await asyncio.sleep(0.02)


class Place:
    """A folder with the modules, and a nursery that has imported them."""

    def __init__(self, folder: Path) -> None:
        self.environment = {**os.environ, "PYTHONPATH": str(folder)}
        self.said: list[str] = []
        self.forks = Forks(lambda line, level="info": self.said.append(line))
        # Nurseries of the session, in which other tests ran before.
        self._others = {child.pid for child in psutil.Process().children()}
        folder.joinpath("nursery_test_imported.py").write_text(IMPORTED)
        folder.joinpath("nursery_test_tells.py").write_text(TELLS)
        folder.joinpath("nursery_test_fails.py").write_text("raise ValueError('as it should')")

    def component(self, *arguments: str, module: str = "nursery_test_tells", **told: str) -> Component:
        command = (sys.executable, "-m", module, *arguments)
        return Component("part", command, well, stage=0, environment={**self.environment, **told})

    async def open(self, *imports: str) -> None:
        await self.forks.open(Shared(imports, self.environment), self.said.append)

    async def started(self, component: Component) -> tuple[Child, Mapping[str, Any]]:
        """The component, and what it tells of itself."""
        lines: list[str] = []
        child = await self.forks.start(component, lines.append)
        await until(lambda: lines)
        return child, json.loads(lines[0])

    @property
    def nursery(self) -> psutil.Process:
        [found] = [
            child
            for child in psutil.Process().children()
            if child.pid not in self._others and "deploy.standalone.nursery" in " ".join(child.cmdline())
        ]
        return found


@asynccontextmanager
async def a_place(folder: Path, *imports: str) -> AsyncIterator[Place]:
    place = Place(folder)
    await place.open(*(imports or ("nursery_test_imported",)))
    try:
        yield place
    finally:
        await place.forks.close()


async def ended(child: Child, number: signal.Signals = signal.SIGTERM) -> int:
    child.send(number)
    async with asyncio.timeout(30):
        return await child.ended()


async def test_a_forked_process_has_the_imports_of_its_nursery_and_is_as_a_new_interpreter_in_all_else(
    tmp_path: Path,
) -> None:
    async with a_place(tmp_path) as place:
        child, tells = await place.started(place.component("serve", TOLD="this one's"))
        assert tells["imported_by"] == place.nursery.pid
        assert tells["name"] == "__main__" and tells["arguments"] == ["serve"]
        assert tells["told"] == "this one's"
        assert tells["session"] and tells["parent"] == os.getpid()
        assert tells["stdin"] == "" and tells["descriptors"] == [0, 1, 2]
        assert await ended(child) == 7


async def test_what_a_nursery_has_called_is_there_in_what_it_forks(tmp_path: Path) -> None:
    async with a_place(tmp_path, "nursery_test_imported:call") as place:
        child, tells = await place.started(place.component())
        assert tells["called_by"] == place.nursery.pid
        await ended(child)


async def test_what_ps_shows_of_a_forked_process_is_its_own_command(tmp_path: Path) -> None:
    async with a_place(tmp_path) as place:
        child, _ = await place.started(place.component("serve", "--all"))
        shown = " ".join(psutil.Process(child.pid).cmdline())
        assert shown.strip() == f"{sys.executable} -m nursery_test_tells serve --all"
        await ended(child)


async def test_two_forked_processes_have_random_numbers_of_their_own(tmp_path: Path) -> None:
    async with a_place(tmp_path) as place:
        (one, first), (other, second) = [await place.started(place.component()) for _ in range(2)]
        assert first["dice"] != second["dice"]
        await asyncio.gather(ended(one), ended(other))


async def test_the_signal_that_ends_a_forked_process_is_told(tmp_path: Path) -> None:
    async with a_place(tmp_path) as place:
        child, _ = await place.started(place.component())
        assert await ended(child, signal.SIGKILL) == -signal.SIGKILL


async def test_a_forked_process_that_fails_says_why_and_ends_with_its_code(tmp_path: Path) -> None:
    async with a_place(tmp_path) as place:
        lines: list[str] = []
        child = await place.forks.start(place.component(module="nursery_test_fails"), lines.append)
        async with asyncio.timeout(30):
            assert await child.ended() == 1
        assert lines[-1] == "ValueError: as it should"


async def test_a_forked_process_is_asked_for_its_stacks_as_any_other(tmp_path: Path) -> None:
    async with a_place(tmp_path) as place:
        lines: list[str] = []
        child = await place.forks.start(place.component(), lines.append)
        await until(lambda: lines)
        child.send(stacks.ASKED_BY)
        await until(lambda: any("in stands_here" in line for line in lines))
        await ended(child)


async def test_when_a_nursery_is_killed_what_it_started_goes_on_and_the_next_starts_by_itself(
    tmp_path: Path,
) -> None:
    async with a_place(tmp_path) as place:
        before, _ = await place.started(place.component())
        place.nursery.kill()
        told = "the nursery was killed by SIGKILL; from now on each process is started by its own command"
        await until(lambda: told in place.said)
        after, tells = await place.started(place.component())
        assert tells["imported_by"] == after.pid
        assert psutil.Process(before.pid).status() != psutil.STATUS_ZOMBIE
        assert await ended(before) == 7
        assert await ended(after) == 7


async def test_where_the_imports_of_a_nursery_fail_its_log_tells_and_processes_start_by_themselves(
    tmp_path: Path,
) -> None:
    async with a_place(tmp_path, "nursery_test_fails") as place:
        child, tells = await place.started(place.component())
        assert tells["imported_by"] == child.pid
        assert "ValueError: as it should" in place.said
        assert await ended(child) == 7


async def test_what_an_interpreter_reads_at_its_start_is_heeded_by_starting_one(tmp_path: Path) -> None:
    async with a_place(tmp_path) as place:
        child, tells = await place.started(place.component(PYTHONWARNINGS="error"))
        assert tells["imported_by"] == child.pid
        assert await ended(child) == 7


SUPERVISOR = """
import asyncio, pathlib, sys
from tests.unit.standalone.test_nursery import a_place
async def main():
    async with a_place(pathlib.Path(sys.argv[1])) as place:
        child, _ = await place.started(place.component())
        print(child.pid, place.nursery.pid, flush=True)
        await asyncio.sleep(600)
asyncio.run(main())
"""


async def test_a_supervisor_that_is_killed_leaves_neither_its_nursery_nor_what_that_started(
    tmp_path: Path,
) -> None:
    lines: list[str] = []
    command = (sys.executable, "-c", SUPERVISOR, str(tmp_path))
    supervisor = await Child.start(command, {**os.environ, "PYTHONPATH": "."}, lines.append)
    await until(lambda: lines)
    left = [psutil.Process(int(pid)) for pid in lines[0].split()]
    psutil.Process(supervisor.pid).kill()
    await supervisor.ended()
    await until(lambda: not any(_runs(process) for process in left))


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
