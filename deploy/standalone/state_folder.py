"""Closes the state folder to all but its owner: it has keys, the second factor's secret, logs and data.

New files are closed from the moment they are made, because every process has the umask `CLOSED` from its
start. Files that an earlier version left open are closed at each start. If root runs the system, PostgreSQL
runs as another user, which may pass through two folders (`let_in` in postgres.py) and owns what it needs.
"""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

from deploy.standalone.settings import StandaloneSettings

# The umask of the supervisor and all its children: nothing for the group, nothing for others.
CLOSED = 0o077
# What may be in a state folder before its first start.
EARLY = {"ca.pem", "certs", "jwks.json", "keys", "logs", "models", "postgres", "run", "valkey"}


def make_folders(settings: StandaloneSettings) -> None:
    """Makes the folders that are missing; leaves alone those of a copy that may be running."""
    refuse_other_folders(settings.state)
    for folder in (settings.state, settings.logs, settings.run, settings.state / "valkey"):
        folder.mkdir(parents=True, exist_ok=True)


def refuse_other_folders(state: Path) -> None:
    """Raises SystemExit for a folder that is not a state folder, such as a home directory.

    A start would close everything in it to other users.
    """
    if not state.exists():
        return
    if state.stat().st_uid != os.getuid():
        raise SystemExit(
            f"{state} belongs to another user; choose a folder of your own: CELERIAC_STATE_DIR=…"
        )
    if (state / "run" / "up.lock").exists():
        return
    others = sorted({path.name for path in state.iterdir()} - EARLY)
    if others:
        raise SystemExit(
            f"{state} is no state folder: it has {others[0]!r}, and a start would close all that is in it to "
            "other users; choose a new or empty folder: make up CELERIAC_STATE_DIR=.celeriac-2"
        )


def close_to_others(settings: StandaloneSettings) -> None:
    """Removes all rights of group and others. It may be called only while nothing runs in the folder.

    Links are not followed. Of the database's folder only the folder itself is closed: PostgreSQL manages what
    is in it, and refuses to start in a folder that others may enter.
    """
    _close(settings.state, as_a_whole=settings.state / "postgres")


def _close(path: Path, as_a_whole: Path) -> None:
    _take_rights(path, path.stat())
    # Now that the folder is closed, nobody can replace an entry that is about to be closed.
    with os.scandir(path) as entries:
        for entry in entries:
            _close_entry(entry, as_a_whole)


def _close_entry(entry: os.DirEntry[str], as_a_whole: Path) -> None:
    # `make token` may replace a file at this moment: the old one is gone, and the new one is made closed.
    with contextlib.suppress(FileNotFoundError):
        found = entry.stat(follow_symlinks=False)
        # A hard link may be a file of somebody else's, outside this folder.
        if stat.S_ISLNK(found.st_mode) or (stat.S_ISREG(found.st_mode) and found.st_nlink > 1):
            return
        path = Path(entry.path)
        if stat.S_ISDIR(found.st_mode) and path != as_a_whole:
            _close(path, as_a_whole)
        else:
            _take_rights(path, found)


def _take_rights(path: Path, found: os.stat_result) -> None:
    if stat.S_IMODE(found.st_mode) & CLOSED:
        path.chmod(stat.S_IMODE(found.st_mode) & ~CLOSED)
