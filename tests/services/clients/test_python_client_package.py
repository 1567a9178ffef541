"""The Python client, installed alone as another team would install it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from celeriac.scheduler.v1 import schedules_pb2

from tests.support.contract_server import ContractServer, running_contract_server

ROOT = Path(__file__).parents[3]
UV = ROOT / ".uv/bin/uv"
IMPORT_EVERYTHING = """
import importlib, pkgutil, celeriac
names = [m.name for m in pkgutil.walk_packages(celeriac.__path__, "celeriac.")]
names = [name for name in names if not name.startswith("celeriac.cli")]
for name in names:
    importlib.import_module(name)
print(sum(name.endswith("_pb2_grpc") for name in names))
"""


def uv(*arguments: str | Path) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("UV_")}
    return subprocess.run(
        [UV, *arguments], check=True, capture_output=True, text=True, env=environment, cwd="/"
    ).stdout


def installed_into(folder: Path, *extra: str, extras: str = "") -> tuple[Path, set[str]]:
    """A fresh environment with the client in it: its interpreter, and what was installed."""
    uv("venv", "--quiet", "--python", sys.executable, folder)
    python = folder / "bin/python"
    uv("pip", "install", "--quiet", "--python", python, f"{ROOT}/clients/python{extras}", *extra)
    listed = uv("pip", "list", "--quiet", "--python", python, "--format", "freeze").split()
    return python, {line.partition("==")[0].partition("@")[0] for line in listed if "==" in line}


def stubs_that_load(python: Path) -> int:
    return int(output_of(python, IMPORT_EVERYTHING))


def output_of(python: Path | str, code: str, **environment: str) -> str:
    command: Sequence[str | Path] = [python, "-W", "error", "-c", code]
    own = {name: value for name, value in os.environ.items() if not name.startswith("CELERIAC_")}
    return subprocess.run(
        command, check=True, capture_output=True, text=True, cwd="/", env={**own, **environment}
    ).stdout


@pytest.fixture(scope="module")
def server(certificates: Path) -> Iterator[ContractServer]:
    """It has one schedule."""
    stored = schedules_pb2.Schedule(name="schedules/nightly")
    stored.next_run_time.FromJsonString("2026-12-01T03:30:00Z")
    with running_contract_server(certificates) as server:
        server.answers["/celeriac.scheduler.v1.ScheduleService/ListSchedules"] = (
            schedules_pb2.ListSchedulesResponse(schedules=[stored])
        )
        yield server


def quick_start_lists_the_schedule(python: Path, server: ContractServer, certificates: Path) -> bool:
    """Runs the first example of the client's README."""
    readme = (ROOT / "clients/python/README.md").read_text()
    example = re.search(r"```python\n(.*?)```", readme, re.DOTALL)
    assert example
    target, ca = f"127.0.0.1:{server.port}", str(certificates / "ca.pem")
    told = output_of(python, example[1], CELERIAC_TARGET=target, CELERIAC_TOKEN="x", CELERIAC_CA=ca)
    return told == "nightly 2026-12-01 03:30:00+00:00\n"


def test_it_brings_grpc_and_protobuf_and_nothing_else(
    tmp_path: Path, server: ContractServer, certificates: Path
) -> None:
    python, packages = installed_into(tmp_path / "alone")
    # typing-extensions is what grpcio itself brings.
    assert packages - {"typing-extensions"} == {
        "celeriac",
        "googleapis-common-protos",
        "grpcio",
        "protobuf",
    }
    assert stubs_that_load(python) >= 5
    assert quick_start_lists_the_schedule(python, server, certificates)


@pytest.mark.parametrize("protobuf", ["protobuf==5.29.5", "protobuf==6.33.0"])
def test_it_runs_on_the_oldest_runtimes_it_promises(
    tmp_path: Path, protobuf: str, server: ContractServer, certificates: Path
) -> None:
    python, packages = installed_into(tmp_path / "old", "grpcio==1.71.2", protobuf)
    assert {"celeriac", "grpcio", "protobuf"} <= packages
    assert stubs_that_load(python) >= 5
    assert quick_start_lists_the_schedule(python, server, certificates)


def test_it_is_typed() -> None:
    package = ROOT / "clients/python/src/celeriac"
    assert (package / "py.typed").exists()
    untyped = [path for path in package.rglob("*_pb2*.py") if not path.with_suffix(".pyi").exists()]
    assert untyped == []


def test_to_import_it_loads_neither_grpc_nor_protobuf() -> None:
    code = (
        "import sys, celeriac; print([name for name in ('grpc', 'google.protobuf') if name in sys.modules])"
    )
    assert output_of(sys.executable, code) == "[]\n"


def test_it_loads_the_stubs_of_the_services_that_are_used() -> None:
    code = """
import sys, celeriac
client = celeriac.connect("127.0.0.1:1")
client.schedules.list()
print(sorted(name for name in sys.modules if name.endswith("s_pb2") and "celeriac" in name))
"""
    assert output_of(sys.executable, code) == "['celeriac.scheduler.v1.schedules_pb2']\n"


def test_what_is_named_at_the_top_is_there() -> None:
    code = "import celeriac; print(all(getattr(celeriac, name) for name in celeriac.__all__))"
    assert output_of(sys.executable, code) == "True\n"


@pytest.mark.parametrize(
    "versions", [[], ["click==8.1.8", "rich==13.0.0", "pyyaml==6.0"]], ids=["newest", "oldest"]
)
def test_the_command_needs_no_package_of_the_server(
    tmp_path: Path, versions: list[str], server: ContractServer, certificates: Path
) -> None:
    python, packages = installed_into(tmp_path / "command", *versions, extras="[cli]")
    assert packages & {"celeriac-platform", "celery", "asyncpg", "textual"} == set()
    known = {
        "CELERIAC_TARGET": f"127.0.0.1:{server.port}",
        "CELERIAC_TOKEN": "x",
        "CELERIAC_CA": str(certificates / "ca.pem"),
    }
    for how, expected in (([], "nightly\tactive\t"), (["-o", "yaml"], "- name: schedules/nightly")):
        ran = subprocess.run(
            [python.with_name("celeriac"), "schedules", "list", *how],
            capture_output=True,
            text=True,
            env={**os.environ, **known, "XDG_CACHE_HOME": str(tmp_path)},
        )
        assert ran.stdout.startswith(expected), ran.stderr
    told = subprocess.run([python.with_name("celeriac"), "watch"], capture_output=True, text=True)
    assert told.returncode == 2
