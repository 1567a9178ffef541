"""Debian's PostgreSQL, for what the one from a wheel can't do: TLS."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.ports import free_port

OWNER = "postgres"


def _program(name: str) -> str:
    """The newest installed one; skips the test where there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    if not found or os.getuid() != 0:
        pytest.skip("Debian's postgresql is not installed, or these tests don't run as root")
    return str(found[-1])


@contextlib.contextmanager
def postgres_with_tls(state: Path) -> Iterator[tuple[str, int]]:
    """Takes TLS alone, with a client certificate of the state's authority; yields host and port.

    The user is `postgres`, without a password; the database is `postgres`.
    """
    initdb, postgres, control = _program("initdb"), _program("postgres"), _program("pg_ctl")
    owner, port = pwd.getpwnam(OWNER), free_port()
    with tempfile.TemporaryDirectory(prefix="celeriac-tls-", dir="/tmp") as name:
        folder = Path(name)
        os.chown(folder, owner.pw_uid, owner.pw_gid)
        for source, copy in (
            ("ca.pem", "ca.pem"),
            ("certs/audit.crt", "server.crt"),
            ("certs/audit.key", "server.key"),
        ):
            shutil.copy(state / source, folder / copy)
            (folder / copy).chmod(0o600)
            os.chown(folder / copy, owner.pw_uid, owner.pw_gid)
        data = folder / "data"
        _run([initdb, "--pgdata", str(data), "--auth", "trust", "--no-sync"])
        (data / "pg_hba.conf").write_text("hostssl all all 127.0.0.1/32 trust clientcert=verify-ca\n")
        files = {"ssl_cert_file": "server.crt", "ssl_key_file": "server.key", "ssl_ca_file": "ca.pem"}
        settings = [f"{key}={folder / file}" for key, file in files.items()]
        settings += ["ssl=on", "fsync=off", f"unix_socket_directories={folder}", "listen_addresses=127.0.0.1"]
        options = " ".join(f"-c {setting}" for setting in settings)
        _run(
            [
                control,
                "-D",
                str(data),
                "-o",
                f"-p {port} {options}",
                "-p",
                postgres,
                "-l",
                f"{folder}/log",
                "-w",
                "start",
            ]
        )
        try:
            yield "127.0.0.1", port
        finally:
            _run([control, "-D", str(data), "-m", "immediate", "-w", "stop"])


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, user=OWNER, cwd="/", stdout=subprocess.DEVNULL)
