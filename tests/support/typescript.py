"""The TypeScript client, compiled with its types checked, and Node to run it."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from protos.node import CLIENT, NoNode, environment, installed_packages, node


def checked_packages() -> Path:
    """Returns clients/typescript/node_modules; skips the test where there is no Node."""
    try:
        return installed_packages()
    except NoNode as reason:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"needs Node.js and npm's registry: {reason}")


def run_tool(*command: str) -> None:
    """Runs a program of the packages. Raises AssertionError with what it said if it fails."""
    program = checked_packages() / ".bin" / command[0]
    done = subprocess.run(
        [str(program), *command[1:]],
        cwd=CLIENT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, f"{' '.join(command)}:\n{done.stdout}{done.stderr}"


def compiled_client() -> Path:
    """Compiles the client and its tests, which checks their types. Returns the folder of the programs."""
    run_tool("tsc")
    return CLIENT / "build"


def run_node(*arguments: str, **settings: str) -> str:
    """Returns what the program prints. Raises AssertionError with all that it said if it fails."""
    done = subprocess.run(
        [str(node()), *arguments],
        cwd=CLIENT,
        env={**environment(), **settings},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, f"{done.stdout[-6000:]}\n{done.stderr[-3000:]}"
    return done.stdout


class Caller(NamedTuple):
    """A process of test/caller.ts."""

    process: subprocess.Popen[str]

    def call(self, service: str, method: str, request: Any, **options: Any) -> Mapping[str, Any]:
        """Returns {"result": …} or {"error": …}."""
        self.ask(service, method, request, **options)
        return self.answer()

    def ask(self, service: str, method: str, request: Any, **options: Any) -> None:
        asked = {"service": service, "method": method, "request": request, "options": options}
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()

    def answer(self) -> Mapping[str, Any]:
        assert self.process.stdout is not None
        found: Mapping[str, Any] = json.loads(self.process.stdout.readline())
        return found


@contextlib.contextmanager
def running_caller(build: Path, target: str, ca: Path, token: str = "") -> Iterator[Caller]:
    settings = {"CELERIAC_TARGET": target, "CELERIAC_CA": str(ca), "CELERIAC_TOKEN": token}
    command = [str(node()), str(build / "test/caller.js")]
    started = subprocess.Popen(
        command,
        env={**environment(), **settings},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with started as process:
        try:
            yield Caller(process)
        finally:
            process.kill()
