"""What a server that died has left behind must not keep the next one from starting."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.standalone.postgres import forget_dead_postmaster


def ended_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.mark.parametrize(
    "text",
    ["", "\n", "nonsense\n", f"{ended_process()}\n/data\n", f"{os.getpid()}\n/data\n"],
    ids=[
        "left empty by a full disk",
        "a line",
        "nonsense",
        "of a process that is gone",
        "of another program",
    ],
)
def test_the_pid_file_of_a_dead_server_is_removed(tmp_path: Path, text: str) -> None:
    (tmp_path / "postmaster.pid").write_text(text)
    forget_dead_postmaster(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_without_a_pid_file_nothing_is_done(tmp_path: Path) -> None:
    forget_dead_postmaster(tmp_path)
    assert list(tmp_path.iterdir()) == []
