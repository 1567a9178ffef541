"""Keeping processes running: real child processes, small ones."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.standalone import child as child_module
from deploy.standalone import supervised as supervised_module
from deploy.standalone.child import Child, told
from deploy.standalone.component import Component
from deploy.standalone.lock import holder, running_alone
from deploy.standalone.probes import Unwell
from deploy.standalone.record import (
    ProcessRecord,
    SystemRecord,
    created_at,
    end_leftovers,
)
from deploy.standalone.supervised import LONGEST_PAUSE, StartFailed, Supervised, pause_before_restart
from services.kernel.masking import without_credentials

STAYS = (
    "import signal; signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM]); print('here', flush=True);"
    "signal.sigwait([signal.SIGTERM])"
)


async def until(holds: Callable[[], object]) -> None:
    """Waits until it holds; the caller sets the deadline."""
    while True:
        if holds():
            return
        await asyncio.sleep(0.02)


def gone(process: psutil.Process) -> bool:
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


async def well() -> None:
    """A probe that is always content."""


async def unwell() -> None:
    raise Unwell("not yet")


def supervised(code: str, told_lines: list[str], **more: object) -> Supervised:
    component = Component("part", (sys.executable, "-c", code), **{"probe": well, "stage": 0, **more})  # type: ignore[arg-type]

    def tell(line: str, level: str = "info") -> None:
        told_lines.append(line)

    return Supervised(component, ProcessRecord(), told_lines.append, tell, lambda: None)


@given(st.integers(1, 10_000))
def test_the_pause_doubles_up_to_a_limit(failures: int) -> None:
    pause, next_pause = pause_before_restart(failures), pause_before_restart(failures + 1)
    assert 0 < pause <= next_pause <= LONGEST_PAUSE
    assert next_pause in (2 * pause, LONGEST_PAUSE)


async def test_a_component_that_is_killed_is_reported_and_started_again() -> None:
    lines: list[str] = []
    part = supervised(STAYS, lines)
    await part.start()
    first = part.record.pid
    assert first is not None
    async with asyncio.timeout(20):
        await until(lambda: "here" in lines)
        psutil.Process(first).kill()
        await until(lambda: part.record.state == "running" and lines.count("here") == 2)
    assert (part.record.restarts, part.record.last_exit) == (1, -signal.SIGKILL)
    assert "part was killed by SIGKILL; started again in 0.5 s" in lines
    assert "part is running again" in lines
    await part.stop(asyncio.Event())
    assert (part.record.state, part.record.last_exit) == ("stopped", 0)


async def test_a_component_that_never_comes_up_ends_the_start() -> None:
    part = supervised("import sys; sys.exit('no key')", [], probe=unwell)
    with pytest.raises(StartFailed, match="part ended with code 1, 3 times"):
        await part.start()
    await part.stop(asyncio.Event())


async def test_a_component_that_does_not_end_is_ended_when_there_is_no_time() -> None:
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True)"
    lines: list[str] = []
    part = supervised(f"{deaf}\nwhile True: time.sleep(60)", lines, hurry=signal.SIGINT)
    await part.start()
    async with asyncio.timeout(20):
        await until(lambda: "deaf" in lines)
        hurry = asyncio.Event()
        hurry.set()
        await part.stop(hurry)
    assert part.record.state == "stopped"
    assert part.record.last_exit in (-signal.SIGINT, 1, -signal.SIGKILL)


HANGS = (
    "import signal, time; from services.kernel import stacks; stacks.tell_when_asked();"
    "signal.signal(signal.SIGTERM, signal.SIG_IGN); print('hangs', flush=True)\n"
    "def stands_here(): time.sleep(600)\n"
    "stands_here()"
)


async def test_a_component_that_does_not_become_ready_tells_where_it_stands(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(supervised_module, "READY_SECONDS", 2.0)
    lines: list[str] = []
    part = supervised(HANGS, lines, probe=unwell, tells_stacks=True)
    with pytest.raises(StartFailed, match="part is not ready after 2 s"):
        await part.start()
    assert any("in stands_here" in line for line in lines)
    hurry = asyncio.Event()
    hurry.set()
    await part.stop(hurry)


async def test_before_a_component_is_killed_it_tells_where_it_stands() -> None:
    lines: list[str] = []
    part = supervised(HANGS, lines, stop_seconds=0.5, tells_stacks=True)
    await part.start()
    async with asyncio.timeout(20):
        await until(lambda: "hangs" in lines)
        await part.stop(asyncio.Event())
    assert any("in stands_here" in line for line in lines)
    assert "part does not end; killed" in lines


async def test_what_a_child_started_does_not_outlive_it(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys; child = subprocess.Popen(['sleep', '600']); print(child.pid, flush=True);"
        "sys.exit(3)"
    )
    lines: list[str] = []
    child = await Child.start((sys.executable, "-c", code), {}, lines.append)
    async with asyncio.timeout(20):
        assert await child.ended() == 3
        await until(lambda: not psutil.pid_exists(int(lines[0])) or gone(psutil.Process(int(lines[0]))))


async def test_lines_come_whole_however_they_are_written() -> None:
    code = (
        "import os, time; os.write(1, '雙'.encode()[:2]); time.sleep(0.1);"
        "os.write(1, '雙'.encode()[2:] + b' one\\ntwo\\nrest')"
    )
    lines: list[str] = []
    child = await Child.start((sys.executable, "-c", code), {}, lines.append)
    await child.ended()
    assert lines == ["雙 one", "two", "rest"]


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's death signal is Linux's")
async def test_a_child_dies_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    parent = (
        "import asyncio\nfrom deploy.standalone.child import Child\n"
        "async def main():\n"
        "    child = await Child.start(('/bin/sleep', '600'), {}, print)\n"
        "    print(child.pid, flush=True)\n"
        "    await asyncio.sleep(600)\n"
        "asyncio.run(main())"
    )
    lines: list[str] = []
    child = await Child.start((sys.executable, "-c", parent), {"PYTHONPATH": "."}, lines.append)
    async with asyncio.timeout(30):
        await until(lambda: lines)
        grandchild = psutil.Process(int(lines[0]))
        await until(lambda: grandchild.name() == "sleep")
        psutil.Process(child.pid).kill()
        await until(lambda: gone(grandchild))
        await child.ended()


def test_an_exit_is_told_in_words() -> None:
    assert told(0) == "ended with code 0"
    assert told(-9) == "was killed by SIGKILL"
    assert told(-200) == "was killed by signal 200"


def test_only_one_copy_runs_in_a_state_folder(tmp_path: Path) -> None:
    assert holder(tmp_path) is None
    with running_alone(tmp_path):
        assert holder(tmp_path) == psutil.Process().pid
        with pytest.raises(SystemExit, match="in use by a running copy"), running_alone(tmp_path):
            pass
    assert holder(tmp_path) is None
    with running_alone(tmp_path):
        pass


def test_what_a_killed_supervisor_left_is_ended_and_nothing_else(tmp_path: Path) -> None:
    left, other = (subprocess.Popen([sys.executable, "-c", STAYS]) for _ in range(2))
    record = SystemRecord(supervisor_pid=1, gateway_port=8443)
    record.processes["left"] = ProcessRecord("running", left.pid, created_at(left.pid))
    # Its number was given to another process since.
    record.processes["reused"] = ProcessRecord("running", other.pid, 1.0)
    record.write(tmp_path)
    assert end_leftovers(tmp_path) == ["left"]
    left.wait()
    assert other.poll() is None
    other.kill()
    other.wait()


def test_a_record_that_cannot_be_read_is_no_record(tmp_path: Path) -> None:
    assert SystemRecord.read(tmp_path) is None
    whole = SystemRecord(supervisor_pid=1, gateway_port=8443, processes={"left": ProcessRecord()})
    whole.write(tmp_path)
    assert SystemRecord.read(tmp_path) == whole
    for broken in (
        '{"processes": 3',
        "[]",
        '{"supervisor_pid": 1, "gateway_port": 8443}',
        '{"supervisor_pid": 1, "gateway_port": 8443, "processes": 3}',
        '{"supervisor_pid": 1, "gateway_port": 8443, "processes": {"left": 3}}',
        '{"supervisor_pid": 1, "gateway_port": 8443, "processes": {"left": {"of another version": 3}}}',
        '{"supervisor_pid": 1, "processes": {}}',
    ):
        (tmp_path / "system.json").write_text(broken)
        assert SystemRecord.read(tmp_path) is None
        assert end_leftovers(tmp_path) == []


@pytest.mark.parametrize("at", range(0, 60, 7))
async def test_a_line_without_an_end_is_cut_but_never_in_a_token(
    monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    monkeypatch.setattr(child_module, "LONGEST_LINE", 1000)
    code = (
        "import os, time\n"
        "def write(part):\n"
        "    os.write(1, part.encode())\n"
        "    time.sleep(0.05)\n"
        "text = 'word ' * 210 + \"'authorization', 'Bearer \" + 'abcdefgh' * 6 + \"', more\"\n"
        f"cut = 1050 + {at}\n"
        "write(text[:cut])\n"
        "write(text[cut:])\n"
    )
    lines: list[str] = []
    child = await Child.start((sys.executable, "-c", code), {}, lines.append)
    await child.ended()
    assert len(lines) == 2
    said = "".join(map(without_credentials, lines))
    assert "abcdefgh" not in said
    assert said.startswith("word word") and "more" in said


async def test_a_component_that_ends_while_it_is_held_is_started_again_when_it_is_held_no_more(
    tmp_path: Path,
) -> None:
    held = tmp_path / "held"
    lines: list[str] = []
    part = supervised(STAYS, lines, held=held)
    await part.start()
    async with asyncio.timeout(20):
        await until(lambda: "here" in lines)
        held.touch()
        assert part.record.pid is not None
        psutil.Process(part.record.pid).terminate()
        await until(lambda: part.record.state == "held")
        assert part.record.last_exit == 0
        held.unlink()
        await until(lambda: part.record.state == "running" and lines.count("here") == 2)
        held.touch()
        psutil.Process(part.record.pid or 0).terminate()
        await until(lambda: part.record.state == "held")
        await part.stop(asyncio.Event())
    assert part.record.state == "stopped", "what is held can be stopped, too"
