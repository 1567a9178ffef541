"""Which packages a process loads: what import contracts say of the code, seen at run time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def loaded_by(module: str) -> set[str]:
    """Packages, by top-level name, that a fresh process has after it imported the module."""
    script = f"import sys, {module}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    asked = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert asked.returncode == 0, asked.stderr
    return set(asked.stdout.split())


def test_the_scheduler_runs_without_sqlalchemy() -> None:
    """Some 20 MB a process; only `migrate` needs it."""
    loaded = loaded_by("services.scheduler.__main__")
    assert {"asyncpg", "grpc"} <= loaded
    assert not loaded & {"sqlalchemy", "alembic"}


def test_the_relay_runs_without_what_serving_takes() -> None:
    """Some 25 MB, and a third of what it takes to start: it copies messages from one Redis to another."""
    loaded = loaded_by("services.monitor.__main__, services.monitor.relaying")
    assert {"hiredis", "redis"} <= loaded
    assert not loaded & {"grpc", "google", "jwt", "asyncpg", "sqlalchemy", "celery"}


def test_the_search_index_makes_no_threads_of_its_own() -> None:
    """numpy's library of algebra makes one for each core."""
    script = (
        "import os, sys; from services.monitor.search.indexing import Tasks, _blocks_of;"
        " _blocks_of(Tasks((), (), (), None, False));"
        " assert 'numpy' in sys.modules; print(len(os.listdir('/proc/self/task')))"
    )
    asked = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert (asked.stdout, asked.stderr) == ("1\n", "")


def test_what_has_no_broker_runs_without_its_client() -> None:
    """Some 6 MB, and a tenth of what their start takes."""
    for module in ("services.audit.__main__", "services.door.__main__, services.door.serving"):
        loaded = loaded_by(module)
        assert {"asyncpg", "grpc"} <= loaded
        assert "redis" not in loaded


def test_what_is_loaded_is_found() -> None:
    assert "sqlalchemy" in loaded_by("services.audit.__main__")
