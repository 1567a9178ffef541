"""What users of the system have installed: without what checks need, of which structlog would load rich."""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.support.processes import ROOT


def environment_of_users(folder: Path) -> Path:
    """Installs what `make up` installs for who only runs it, compiled, and gives its Python."""
    environment = folder / "venv"
    command = [str(ROOT / ".uv/bin/uv"), "sync", "--quiet", "--locked", "--all-extras", "--no-default-groups"]
    settings = {**os.environ, "UV_PROJECT_ENVIRONMENT": str(environment)}
    subprocess.run(
        [*command, "--compile-bytecode", "--python", sys.executable], cwd=ROOT, env=settings, check=True
    )
    return environment / "bin/python"


@functools.cache
def python_of_users() -> str:
    """The same, once for this process, at whose end it is removed."""
    folder = tempfile.mkdtemp(prefix="celeriac-users-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return str(environment_of_users(Path(folder)))
