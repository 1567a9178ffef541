"""A disk with little room: a file system in memory, on which a test puts what is to run out of room."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.sql import fetch_sync


@dataclass(frozen=True)
class SmallDisk:
    path: Path

    @property
    def _filler(self) -> Path:
        return self.path / "filler"

    def fill(self) -> None:
        with self._filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(b"x" * 4096)

    def make_room(self) -> None:
        self._filler.unlink()


@contextlib.contextmanager
def mounted(path: Path, megabytes: int, owner: int) -> Iterator[SmallDisk]:
    """Mounts it; skips the test where that is not allowed."""
    path.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,uid={owner},mode=0700", "tmpfs", str(path)]
    if os.getuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("a file system of a given size can be mounted by root alone")
    try:
        yield SmallDisk(path)
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


@contextlib.contextmanager
def small_tablespace(database_url: str, name: str) -> Iterator[SmallDisk]:
    """A tablespace of the server on a disk of 1 MB; the test moves tables there, and back before the end."""
    owner = Path(fetch_sync(database_url, "SHOW data_directory")[0][0]).stat().st_uid
    with mounted(Path(tempfile.mkdtemp(prefix="celeriac-disk-")) / "disk", 1, owner) as disk:
        disk.path.parent.chmod(0o755)
        fetch_sync(database_url, f"CREATE TABLESPACE {name} LOCATION '{disk.path}'")
        try:
            yield disk
        finally:
            fetch_sync(database_url, f"DROP TABLESPACE {name}")
