"""The ways in which the application is run: version, pool, options, broker."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.kept_logs import keep_under
from tests.support.processes import ROOT
from tests.support.servers import Valkey

UV = ROOT / ".uv/bin/uv"
APPLICATION = Path(__file__).with_name("matrix_application.py")
STOP_SECONDS = 60


@dataclass(frozen=True)
class Setup:
    """One column of the matrix. `packages`: others than those that are installed here."""

    name: str
    pool: str = "prefork"
    options: tuple[str, ...] = ("--events",)
    packages: tuple[str, ...] = ()
    # Seconds that the worker's clock is ahead.
    ahead: int = 0
    prefix: str = ""

    @property
    def python(self) -> tuple[str, ...]:
        if not self.packages:
            return (sys.executable,)
        isolated = (str(UV), "run", "--quiet", "--no-project", "--isolated", "--python", sys.executable)
        return (*isolated, *(word for package in self.packages for word in ("--with", package)), "python")


class Application:
    """The application in a folder, with its broker and its results on one server."""

    def __init__(self, setup: Setup, folder: Path, broker: Valkey) -> None:
        self.setup = setup
        self._folder = folder
        (folder / "application.py").write_bytes(APPLICATION.read_bytes())
        url = f"redis://{broker.host}:{broker.port}"
        # Nothing of ours is on its path.
        own = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        transport = {"global_keyprefix": setup.prefix} if setup.prefix else {}
        self._environment = {
            **own,
            "BROKER": f"{url}/0",
            "BACKEND": f"{url}/1",
            "TRANSPORT": json.dumps(transport),
            "C_FORCE_ROOT": "1",
        }

    def send(self) -> dict[str, str]:
        """Sends a task of each kind; returns their ids."""
        told = subprocess.run(
            [*self.setup.python, "application.py", self.setup.pool],
            cwd=self._folder,
            env=self._environment,
            capture_output=True,
            text=True,
        )
        assert told.returncode == 0, told.stderr
        sent: dict[str, str] = json.loads(told.stdout.splitlines()[-1])
        return sent

    @contextlib.contextmanager
    def working(self, name: str = "matrix@host") -> Iterator[None]:
        clock = ("faketime", "-f", f"{self.setup.ahead:+d}s") if self.setup.ahead else ()
        command = (
            *(*clock, *self.setup.python, "-m", "celery", "-A", "application", "worker"),
            *(f"--pool={self.setup.pool}", "--concurrency=2", f"--hostname={name}", "--without-mingle"),
            *self.setup.options,
        )
        with keep_under(self._folder / f"worker-{name}.log", f"worker-{name}").open("ab") as log:
            process = subprocess.Popen(
                command, cwd=self._folder, env=self._environment, stdout=log, stderr=log
            )
        try:
            yield
        finally:
            process.terminate()
            process.wait(STOP_SECONDS)
