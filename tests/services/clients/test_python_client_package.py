"""The Python client, installed alone as another team would install it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
UV = ROOT / ".uv/bin/uv"
IMPORT_EVERYTHING = """
import importlib, pkgutil, celeriac
names = [m.name for m in pkgutil.walk_packages(celeriac.__path__, "celeriac.")]
for name in names:
    importlib.import_module(name)
print(sum(name.endswith("_pb2_grpc") for name in names))
"""


def uv(*arguments: str | Path) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("UV_")}
    return subprocess.run(
        [UV, *arguments], check=True, capture_output=True, text=True, env=environment, cwd="/"
    ).stdout


def installed_into(folder: Path, *extra: str) -> tuple[Path, set[str]]:
    """A fresh environment with the client in it: its interpreter, and what was installed."""
    uv("venv", "--quiet", "--python", sys.executable, folder)
    python = folder / "bin/python"
    uv("pip", "install", "--quiet", "--python", python, ROOT / "clients/python", *extra)
    listed = uv("pip", "list", "--quiet", "--python", python, "--format", "freeze").split()
    return python, {line.partition("==")[0].partition("@")[0] for line in listed if "==" in line}


def stubs_that_load(python: Path) -> int:
    command: Sequence[str | Path] = [python, "-W", "error", "-c", IMPORT_EVERYTHING]
    return int(subprocess.run(command, check=True, capture_output=True, text=True, cwd="/").stdout)


def test_it_brings_grpc_and_protobuf_and_nothing_else(tmp_path: Path) -> None:
    python, packages = installed_into(tmp_path / "alone")
    # typing-extensions is what grpcio itself brings.
    assert packages - {"typing-extensions"} == {
        "celeriac",
        "googleapis-common-protos",
        "grpcio",
        "protobuf",
    }
    assert stubs_that_load(python) >= 5


@pytest.mark.parametrize("protobuf", ["protobuf==5.29.5", "protobuf==6.33.0"])
def test_its_stubs_load_on_the_oldest_runtimes_it_promises(tmp_path: Path, protobuf: str) -> None:
    python, packages = installed_into(tmp_path / "old", "grpcio==1.71.2", protobuf)
    assert {"celeriac", "grpcio", "protobuf"} <= packages
    assert stubs_that_load(python) >= 5


def test_it_is_typed() -> None:
    package = ROOT / "clients/python/src/celeriac"
    assert (package / "py.typed").exists()
    untyped = [path for path in package.rglob("*_pb2*.py") if not path.with_suffix(".pyi").exists()]
    assert untyped == []
