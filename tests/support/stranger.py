"""python -m tests.support.stranger USER: what another user of the machine can do with files.

Reads a JSON list of paths on stdin; becomes USER; prints a JSON list of what it could do: "list /state/logs".
Imports all that it needs before it becomes somebody who may not read the interpreter's folders.
"""

from __future__ import annotations

import errno
import json
import os
import pwd
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from tests.support.processes import ROOT


def what_could_be_done(user: str, paths: Iterable[Path]) -> list[str]:
    """What `user` could do with the paths, each tried in a process that is that user's. Needs root."""
    tried = subprocess.run(
        [sys.executable, "-m", __name__, user],
        input=json.dumps([str(path) for path in paths]),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    found: list[str] = json.loads(tried.stdout)
    return found


def _become(user: str) -> None:
    entry = pwd.getpwnam(user)
    os.setgroups([])
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)


def _connect(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(path)


def _open(flags: int) -> Callable[[str], None]:
    return lambda path: os.close(os.open(path, flags | os.O_NONBLOCK))


def _make_a_file_in(path: str) -> None:
    # Left behind on purpose: that it could be made is the finding.
    os.close(os.open(f"{path}/stranger", os.O_CREAT | os.O_WRONLY, 0o600))


ATTEMPTS: dict[str, Callable[[str], object]] = {
    "look at": os.lstat,
    "list": os.listdir,
    "read": _open(os.O_RDONLY),
    "write": _open(os.O_WRONLY),
    "make a file in": _make_a_file_in,
    "connect to": _connect,
}
# What says that the path is there, and of another kind than the attempt is for.
OTHER_KIND = (errno.ENOTDIR, errno.EISDIR, errno.ENXIO, errno.ENOTSOCK, errno.ECONNREFUSED)


def _refused(attempt: Callable[[str], object], path: str) -> bool:
    """Whether the attempt had no effect; so it is, too, with a path that vanished since we looked."""
    try:
        attempt(path)
    except OSError as error:
        return error.errno in (errno.EACCES, errno.EPERM, errno.ENOENT, *OTHER_KIND)
    return False


def main() -> None:
    paths: list[str] = json.load(sys.stdin)
    kinds = {path: stat.S_IFMT(os.lstat(path).st_mode) for path in paths if os.path.lexists(path)}
    _become(sys.argv[1])
    could = [
        f"{what} {path}"
        for path, kind in kinds.items()
        for what, attempt in ATTEMPTS.items()
        if not (what == "read" and kind == stat.S_IFDIR) and not _refused(attempt, path)
    ]
    json.dump(could, sys.stdout)


if __name__ == "__main__":
    main()
