"""Calls by the stubs of 0.1, which other teams have: taken from the git history, run in their own process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes import ROOT, ServiceProcess

# The last commit with the contracts of 0.1.
COMMIT = "06190e28782330d190afffe82c053c5a20ed0346"
CLIENT = Path(__file__).with_name("old_client.py")


def old_stubs(folder: Path) -> Path:
    """The stubs of 0.1 below the folder. Skips the test where there is no git history to take them from."""
    found = subprocess.run(
        ["git", "archive", COMMIT, "clients/python/src"], cwd=ROOT, capture_output=True, check=False
    )
    if found.returncode:
        pytest.skip(f"there is no git history with commit {COMMIT}: {found.stderr.decode().strip()}")
    subprocess.run(["tar", "-x", "-C", folder], input=found.stdout, check=True)
    return folder / "clients/python/src"


def answers_to_old_client(
    stubs: Path, service: ServiceProcess, token: str, calls: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """How a service answers calls that are made by old stubs: "code", and "message" or "answer".

    A call is {"module": "scheduler.v1.config", "service": "ConfigService", "method": …, "request": {…}}.
    """
    given = {"address": service.address, "files": service.files(), "token": token, "calls": calls}
    ran = subprocess.run(
        [sys.executable, CLIENT],
        env={**os.environ, "PYTHONPATH": str(stubs)},
        cwd=stubs,
        input=json.dumps(given),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    assert Path(told["stubs"]).is_relative_to(stubs), "the stubs of this checkout were used"
    answers: list[dict[str, Any]] = told["answers"]
    return answers
