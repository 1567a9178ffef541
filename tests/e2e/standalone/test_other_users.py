"""Another user of the machine, beside a running system: reads nothing of it, and reaches nothing of it."""

from __future__ import annotations

import os
import pwd
import re
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from deploy.standalone.ports import HOST
from tests.support.stranger import what_could_be_done
from tests.support.system import System

# A start from nothing, on a machine with other work.
pytestmark = pytest.mark.timeout(400)

needs_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can act as another user")


def everything_in(folder: Path) -> list[Path]:
    """The folder, and all files, folders and sockets below it."""
    found = [folder]
    for above, folders, files in os.walk(folder):
        found += [Path(above) / name for name in [*folders, *files]]
    return found


def processes_of(system: System) -> list[psutil.Process]:
    """The supervisor, and all that it started."""
    assert system.process is not None
    supervisor = psutil.Process(system.process.pid)
    return [supervisor, *supervisor.children(recursive=True)]


def modes_in(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    for path in everything_in(folder):
        try:
            found = path.lstat()
        except FileNotFoundError:
            continue
        if not stat.S_ISLNK(found.st_mode):
            yield path, found


@needs_root
def test_another_user_reads_and_reaches_nothing_of_the_state_folder(system: System) -> None:
    paths = everything_in(system.state)
    assert {path.name for path in paths} >= {"gateway.log", "valkey.conf", "admin.sock", ".s.PGSQL.5432"}
    could = what_could_be_done("nobody", paths)
    # That the folder exists is seen from the folder above it, which is not ours.
    assert could == [f"look at {system.state}"]


@needs_root
def test_the_databases_own_user_reads_nothing_but_the_database(system: System) -> None:
    own = (system.state / "postgres", system.state / "run/postgres")
    others = [
        path for path in everything_in(system.state) if not any(path.is_relative_to(one) for one in own)
    ]
    could = what_could_be_done("pgserver", others)
    # It passes through two folders, and so can tell that what it knows the name of is there.
    assert [one for one in could if not one.startswith("look at ")] == []
    deeper = {path.parent for path in others} - {system.state, system.state.parent, system.state / "run"}
    seen = {Path(one.removeprefix("look at ")).parent for one in could}
    assert not deeper & seen


def test_every_file_is_its_owners_alone(system: System) -> None:
    passed_through = {system.state, system.state / "run"} if os.getuid() == 0 else set()
    open_to_others = {
        str(path): oct(found.st_mode)
        for path, found in modes_in(system.state)
        if stat.S_IMODE(found.st_mode) & (0o067 if path in passed_through else 0o077)
    }
    assert open_to_others == {}
    for path in passed_through:
        assert path.stat().st_gid == pwd.getpwnam("pgserver").pw_gid


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells a process's umask")
def test_whatever_a_process_makes_is_closed_from_the_start(system: System) -> None:
    umasks = {
        process.name(): re.findall(r"^Umask:\s+(\d+)$", Path(f"/proc/{process.pid}/status").read_text(), re.M)
        for process in processes_of(system)
    }
    assert len(umasks) >= 4
    assert set(map(tuple, umasks.values())) == {("0077",)}, umasks


def test_the_brokers_password_is_on_no_command_line_and_in_no_log(system: System) -> None:
    password = (system.state / "keys/valkey-password").read_text()
    assert len(password) >= 32
    for process in processes_of(system):
        assert password not in " ".join(process.cmdline()), process.name()
    for path in (system.state / "logs").iterdir():
        assert password not in path.read_text(errors="replace"), path.name
    assert password not in system.output


def test_what_an_earlier_version_left_open_is_closed_at_a_start(system: System, tmp_path: Path) -> None:
    state = tmp_path / "state"
    for folder in ("logs", "keys", "run/envoy", "valkey/appendonlydir", "models/e5"):
        (state / folder).mkdir(parents=True)
        (state / folder / "file").write_text("of an earlier version")
    for path, _ in modes_in(state):
        path.chmod(0o755 if path.is_dir() else 0o644)
    # Its ports are taken: it ends before anything of it runs.
    told = System(state, system.port).run("up")
    assert "is taken by process" in told.stderr
    left = {path: oct(found.st_mode) for path, found in modes_in(state) if found.st_mode & 0o077}
    assert left == {}


def test_only_the_known_ports_are_listened_at(system: System) -> None:
    listening = {
        connection.laddr.port
        for process in processes_of(system)
        for connection in process.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening == set(system.ports.all())
    assert "admin" not in " ".join(system.ports.all().values())


def test_every_socket_with_a_name_is_in_the_state_folder(system: System) -> None:
    """One in Linux's abstract namespace ("@…") has no file, and so no permissions."""
    named = {
        str(connection.laddr).lstrip("\0")
        for process in processes_of(system)
        for connection in process.net_connections("unix")
    } - {""}
    assert named == {
        str(system.state / "run/postgres/.s.PGSQL.5432"),
        str(system.state / "run/envoy/admin.sock"),
    }


@pytest.mark.parametrize("command", ["PING", "LRANGE ai_analysis 0 -1", "CONFIG GET dir", "SHUTDOWN"])
def test_the_broker_answers_nobody_without_its_password(system: System, command: str) -> None:
    with socket.create_connection((HOST, system.ports.valkey), timeout=10) as client:
        client.sendall(command.encode() + b"\r\n")
        assert client.recv(1000).startswith(b"-NOAUTH")
