"""The state folder is for its owner alone: keys, tokens' second factor, logs and data are in it.

New files are closed from the moment they are made, as every process here has the umask `CLOSED` from its
start. What an earlier version left open is closed at each start. Where root runs the system, PostgreSQL is
another user, who may pass through two folders (`let_in` in postgres.py), and owns what it needs.
"""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

from deploy.standalone.settings import StandaloneSettings

# The umask of the supervisor and all its children: nothing for the group, nothing for others.
CLOSED = 0o077


def make_folders(settings: StandaloneSettings) -> None:
    """Makes the folders that are missing; leaves alone those of a copy that may be running."""
    for folder in (settings.state, settings.logs, settings.run, settings.state / "valkey"):
        folder.mkdir(parents=True, exist_ok=True)


def close_to_others(settings: StandaloneSettings) -> None:
    """Takes every right from group and others; only while nothing runs in the folder.

    Links are not followed. The database's folder is closed as a whole: PostgreSQL itself sees to what is in
    it, and refuses to start on a folder that others may enter.
    """
    _close(settings.state, as_a_whole=settings.state / "postgres")


def _close(path: Path, as_a_whole: Path) -> None:
    _take_rights(path, path.stat())
    # After the folder is closed, so that nobody can put something else in the place of what is closed next.
    with os.scandir(path) as entries:
        for entry in entries:
            _close_entry(entry, as_a_whole)


def _close_entry(entry: os.DirEntry[str], as_a_whole: Path) -> None:
    # A file that `make token` replaces at this moment is gone; the new one is closed by itself.
    with contextlib.suppress(FileNotFoundError):
        found = entry.stat(follow_symlinks=False)
        if stat.S_ISLNK(found.st_mode):
            return
        path = Path(entry.path)
        if stat.S_ISDIR(found.st_mode) and path != as_a_whole:
            _close(path, as_a_whole)
        else:
            _take_rights(path, found)


def _take_rights(path: Path, found: os.stat_result) -> None:
    if stat.S_IMODE(found.st_mode) & CLOSED:
        path.chmod(stat.S_IMODE(found.st_mode) & ~CLOSED)
