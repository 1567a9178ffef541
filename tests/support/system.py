"""The whole system as `make up` runs it, in a state folder and on ports of its own."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import grpc
from celeriac import connect_blocking

from deploy.standalone.ports import BLOCK, Ports
from deploy.standalone.record import SystemRecord, process_of
from services.kernel import stacks
from tests.support import kept_logs
from tests.support.ports import free_ports
from tests.support.processes import ROOT
from tests.support.secrets_in_logs import remember_files

# A process that is not ready after 120 s fails the start, which then stops the others.
READY_SECONDS = 150.0
STOPPED_SECONDS = 100.0
LAST_LINES = 120


def free_block() -> int:
    """The first of a block of free ports."""
    return free_ports(BLOCK)


@dataclass
class System:
    """One copy of the system. `state` is short: a Unix socket is below it."""

    state: Path
    port: int = field(default_factory=free_block)
    process: subprocess.Popen[bytes] | None = None
    # Variables of the shell in which `make up` is typed.
    given: dict[str, str] = field(default_factory=dict)
    # The folder of the code, with its `.venv`.
    checkout: Path = ROOT
    _output: Path = field(default_factory=lambda: kept_logs.new_log("make-up"))

    @property
    def ports(self) -> Ports:
        return Ports(self.port)

    @property
    def environment(self) -> dict[str, str]:
        own = {"CELERIAC_STATE_DIR": str(self.state), "CELERIAC_GATEWAY_PORT": str(self.port)}
        return {**os.environ, **own}

    @property
    def _python(self) -> str:
        return sys.executable if self.checkout == ROOT else str(self.checkout / ".venv/bin/python")

    @property
    def database_url(self) -> str:
        """As PostgreSQL's superuser."""
        return self.database_url_of("postgres")

    def database_url_of(self, role: str) -> str:
        return f"postgresql://{role}@/celeriac?host={self.state}/run/postgres"

    def valkey_url(self, database: int) -> str:
        """Of this system's own Valkey."""
        password = (self.state / "keys/valkey-password").read_text()
        return f"redis://:{password}@127.0.0.1:{self.ports.valkey}/{database}"

    @property
    def output(self) -> str:
        """What the last `up` printed so far."""
        return self._output.read_text(errors="replace")

    @property
    def _logs(self) -> Path:
        return self.state / "logs"

    def up(self) -> None:
        """Starts it, and waits for the line that begins with "ready"."""
        kept_logs.follow(self._logs, other_version=self.checkout != ROOT)
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                [self._python, "-m", "deploy.standalone", "up"],
                env={**self.environment, **self.given},
                cwd=self.checkout,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + READY_SECONDS
        while not re.search("^ready", self.output, re.MULTILINE):
            if self.process.poll() is not None or time.monotonic() > deadline:
                self._tell_where_it_stands()
                raise AssertionError(f"the system did not become ready:\n{self._essence}")
            time.sleep(0.1)

    def _tell_where_it_stands(self) -> None:
        """Has the supervisor and what is not ready write their stacks, if they still run."""
        record = SystemRecord.read(self.state / "run")
        late = (
            [process_of(one) for one in record.processes.values() if one.state == "starting"]
            if record
            else []
        )
        asked = [one.pid for one in late if one is not None]
        if self.process is not None and self.process.poll() is None:
            asked.append(self.process.pid)
        for pid in asked:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, stacks.ASKED_BY)
        time.sleep(1)

    @property
    def _essence(self) -> str:
        """Of what `up` printed, the lines of the supervisor, and the last of all: a report of CI is cut."""
        lines = self.output.splitlines()
        own = [line for line in lines[:-LAST_LINES] if line.startswith("celeriac ")]
        return "\n".join([*own, *(line[:200] for line in lines[-LAST_LINES:])])

    def run(self, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """One of the other commands: "status", "down", "logs", "token"."""
        return subprocess.run(
            [self._python, "-m", "deploy.standalone", *arguments],
            env={**self.environment, **settings},
            cwd=self.checkout,
            capture_output=True,
            text=True,
            timeout=120,
        )

    def interrupt(self) -> int:
        """As Ctrl-C does; gives the exit code when all has ended."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        code = self.process.wait(STOPPED_SECONDS)
        remember_files(*self.state.glob("keys/*.pem"), *self.state.glob("keys/*.json"))
        remember_files(*self.state.glob("certs/*.key"))
        kept_logs.take_in(self._logs)
        return code

    def token(self, role: str = "admin") -> str:
        return self.run("token", role).stdout.strip()

    def channel(self, role: str = "admin") -> grpc.Channel:
        """A channel through the gateway, with a token of the role ("" for none)."""
        return self.channel_of(self.token(role) if role else "")

    def channel_of(self, token: str) -> grpc.Channel:
        return connect_blocking(f"127.0.0.1:{self.port}", token=token, ca=self.state / "ca.pem")

    def pid_of(self, component: str) -> int | None:
        record = json.loads((self.state / "run/system.json").read_text())
        pid: int | None = record["processes"][component]["pid"]
        return pid
