"""Where every process of the tests writes its log, until the session ends: one folder, which is searched.

`tests/conftest.py` searches it for secrets (secrets_in_logs.py), and for lines that are not as documented
(log_lines.py), at the end of each module and of the session.
Without a session (in a benchmark) the logs go into a folder that is removed at the end of the process.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
from pathlib import Path

from tests.support.log_lines import faults_in
from tests.support.secrets_in_logs import Search

_search: Search | None = None


def keep_in(folder: Path) -> Search:
    """From now on logs are kept in the folder; gives the search that looks through them."""
    global _search
    _search = Search(folder, faults_in)
    return _search


def _kept() -> Search:
    if _search is not None:
        return _search
    folder = Path(tempfile.mkdtemp(prefix="celeriac-logs-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return keep_in(folder)


def new_log(name: str) -> Path:
    """A file, empty and of no other process, for what a process says."""
    folder, number = _kept().folder, 1
    path = folder / f"{name}.log"
    while True:
        try:
            path.touch(exist_ok=False)
            return path
        except FileExistsError:
            number += 1
            path = folder / f"{name}-{number}.log"


def keep_under(path: Path, name: str) -> Path:
    """The same for a process whose log is looked for at `path`: a link is made there, if there is none."""
    if not path.is_symlink():
        path.symlink_to(new_log(name))
    return path


def keep_text(name: str, text: str) -> None:
    """For what a process of a moment said."""
    new_log(name).write_text(text)


def follow(folder: Path, *, other_version: bool = False) -> None:
    """Logs that a process writes into a folder of its own are looked through, too.

    `other_version`: lines of an older version are among them, whose form is not looked at.
    """
    _kept().follow(folder, other_version=other_version)


def take_in(folder: Path) -> None:
    """Such a folder is about to be removed: what is in it is kept with the others."""
    _kept().take_in(folder)
