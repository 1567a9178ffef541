"""What a start of the command loads, and what it costs: nothing of grpc for help and completion."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from celeriac.cli.lazy import Branch
from celeriac.cli.run import run
from celeriac.cli.tree import TREE

from tests.support.command import COMMAND, Command

LOADED = """
import os, sys
from celeriac.cli.run import run
sys.argv = ["celeriac", *{arguments!r}]
code = run({arguments!r})
names = [name for name in ("grpc", "google.protobuf", "rich", "textual") if name in sys.modules]
print("loaded:", *names, file=sys.stderr)
"""


def loaded(environment: Mapping[str, str], *arguments: str) -> list[str]:
    """The heavy modules that a call in a pipe has loaded at its end."""
    ran = subprocess.run(
        [sys.executable, "-c", LOADED.format(arguments=list(arguments))],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
    )
    return ran.stderr.splitlines()[-1].split()[1:]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        *([name, "--help"] for name in TREE),
        ["schedules", "list", "--help"],
        ["version", "--client"],
        ["completion", "bash"],
        ["contexts"],
    ],
    ids=" ".join,
)
def test_help_loads_neither_grpc_nor_rich(celeriac: Command, arguments: list[str]) -> None:
    assert loaded({"XDG_CONFIG_HOME": str(celeriac.home)}, *arguments) == []


def test_in_a_pipe_neither_rich_nor_textual_is_loaded(celeriac: Command) -> None:
    for how in ([], ["-o", "table"], ["-o", "json"]):
        assert loaded(celeriac.environment, "schedules", "list", *how) == ["grpc", "google.protobuf"]


def all_commands() -> list[list[str]]:
    return [
        path
        for name, found in TREE.items()
        for path in ([[name, each] for each in found.commands] if isinstance(found, Branch) else [[name]])
    ]


@pytest.mark.parametrize("path", all_commands(), ids=" ".join)
def test_every_command_has_help(path: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*path, "--help"]) == 0
    assert capsys.readouterr().out.startswith(f"Usage: celeriac {' '.join(path)}")


def cpu_seconds(command: list[str], environment: Mapping[str, str]) -> float:
    """The least CPU time of several runs: others use the machine as well."""
    found = []
    for _ in range(7):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(
            command, env={**os.environ, **environment}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        found.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(found)


def test_a_list_takes_at_most_1_6_times_the_cpu_of_importing_grpc(celeriac: Command) -> None:
    grpc = cpu_seconds([sys.executable, "-c", "import grpc"], {})
    listing = cpu_seconds([str(COMMAND), "schedules", "list"], celeriac.environment)
    assert listing <= 1.6 * grpc + 0.01
    assert cpu_seconds([str(COMMAND), "--help"], {}) <= grpc


def test_without_click_it_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "click.py").write_text("raise ModuleNotFoundError('click')")
    ran = subprocess.run(
        [sys.executable, "-m", "celeriac.cli"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    assert ran.returncode == 1
    assert "pip install 'celeriac[cli]'" in ran.stderr
