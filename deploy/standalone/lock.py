"""Allows one running system for each state folder, by a lock (flock) that ends with its process."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO


@contextlib.contextmanager
def running_alone(run: Path) -> Iterator[None]:
    """Holds the lock of the running system; raises SystemExit when another copy holds it."""
    with (run / "up.lock").open("a+") as file:
        if not _lock(file):
            raise SystemExit(
                f"the state folder {run.parent} is in use by a running copy (process {holder(run)}). "
                "`make status` shows it and `make down` stops it; for a second copy choose another folder "
                "and other ports: make up CELERIAC_STATE_DIR=.celeriac-2 CELERIAC_GATEWAY_PORT=9443"
            )
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def _lock(file: IO[str]) -> bool:
    # `make status` holds a shared lock for an instant to look (`holder`): that is not a running copy.
    for _ in range(10):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            time.sleep(0.05)
    return False


def holder(run: Path) -> int | None:
    """Returns the process id of the running supervisor, 0 before that is written; None when nothing runs."""
    try:
        with (run / "up.lock").open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                text = file.read()
                return int(text) if text else 0
    except FileNotFoundError:
        pass
    return None
