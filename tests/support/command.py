"""The command `celeriac` as a process, in a pipe or on a terminal of its own."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

COMMAND = Path(sys.executable).with_name("celeriac")
SECONDS = 60.0
CTRL_C = "\x03"
# Where the tests run in the background, a shell has their SIGINT ignored, and so it would be here. Python
# does not do it between fork and exec: gRPC, of which the tests have a server, starts its threads anew in
# such a fork, and aborted it now and then ("epoll_wait error: Bad file descriptor").
HEEDING_INTERRUPTS = ("env", "--default-signal=INT")


@dataclass(frozen=True)
class Ran:
    """What came of it. On a terminal `err` is empty: both go to the screen."""

    code: int
    out: str
    err: str = ""


@dataclass(frozen=True)
class Command:
    """`environment` names the system; `home` has the contexts and the names that are kept."""

    home: Path
    environment: Mapping[str, str]

    def _environment(self, more: Mapping[str, str]) -> dict[str, str]:
        own = {name: value for name, value in os.environ.items() if not name.startswith("CELERIAC_")}
        folders = {"XDG_CONFIG_HOME": str(self.home / "config"), "XDG_CACHE_HOME": str(self.home / "cache")}
        return {**own, **folders, "TZ": "Asia/Taipei", **self.environment, **more}

    def run(self, *arguments: str, given: str = "", **environment: str) -> Ran:
        """Runs it in a pipe, with this on standard input."""
        ran = subprocess.run(
            [COMMAND, *arguments],
            input=given,
            capture_output=True,
            text=True,
            env=self._environment(environment),
            timeout=SECONDS,
        )
        return Ran(ran.returncode, ran.stdout, ran.stderr)

    def begin(self, *arguments: str) -> subprocess.Popen[str]:
        """Starts it in a pipe, as from a shell."""
        return subprocess.Popen(
            [*HEEDING_INTERRUPTS, COMMAND, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self._environment({}),
        )

    def on_a_terminal(
        self,
        *arguments: str,
        columns: int = 80,
        rows: int = 24,
        typed: str = "",
        at: str = "",
        **environment: str,
    ) -> Ran:
        """Runs it on a terminal of this size; `typed` is what a person types, once `at` is to be seen."""
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        known = {"TERM": "xterm-256color", "COLUMNS": str(columns), "LINES": str(rows)}
        process = subprocess.Popen(
            # So that Ctrl-C is a signal there.
            ["setsid", "--ctty", "--wait", *HEEDING_INTERRUPTS, COMMAND, *arguments],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=self._environment({**known, **environment}),
        )
        os.close(theirs)
        shown = _all_of(ours, typed, at)
        os.close(ours)
        return Ran(process.wait(SECONDS), shown.replace("\r\n", "\n"))


def _all_of(terminal: int, typed: str, at: str) -> str:
    found, deadline, silent = b"", time.monotonic() + SECONDS, True
    while time.monotonic() < deadline:
        if typed and at.encode() in found and silent:
            os.write(terminal, typed.encode())
            # Python does not see a signal that comes just before it begins to read: again, as a person would.
            typed = typed if typed == CTRL_C else ""
        silent = not select.select([terminal], [], [], 1)[0]
        if silent:
            continue
        try:
            read = os.read(terminal, 65536)
        except OSError:  # Linux says so at the end
            break
        if not read:
            break
        found += read
    return found.decode()
