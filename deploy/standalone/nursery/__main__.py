"""python -m deploy.standalone.nursery <file descriptor> <module to import, or module:function to call> …

The descriptor is that of a socket, on which the parent process asks for starts (client.py). It ends when the
socket is closed, which also the parent's death does.

What it forks is no child of its own but one of its parent: a process in between forks it and ends, and the
kernel gives it to the nearest ancestor that takes in orphans, which the parent is for that moment. So the
parent waits for its children and learns their exit codes as of any other, and no child is touched by the end
of the nursery.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import random
import runpy
import socket
import sys
import time
from collections.abc import Mapping
from typing import Any

from setproctitle import getproctitle, setproctitle

from deploy.standalone.nursery.client import NUMBER_BYTES, READY, UNABLE
from services.kernel import stacks

# prctl(2).
SET_PDEATHSIG = 1


class _Child(Exception):
    """This is the child, which is to run the module."""

    def __init__(self, wanted: Mapping[str, Any]) -> None:
        super().__init__(wanted)
        self.wanted = wanted


def main() -> None:
    stacks.tell_when_asked()
    # The library finds where the title is by the environment, as long as that is as the process was given it.
    getproctitle()
    commands = socket.socket(fileno=int(sys.argv[1]))
    for wanted in sys.argv[2:]:
        module, _, function = wanted.partition(":")
        found = importlib.import_module(module)
        if function:
            getattr(found, function)()
    # What is there now is left alone by the collections of all children: to look at it would copy it.
    gc.collect()
    gc.freeze()
    try:
        commands.sendall(READY)
        _serve(commands, os.getppid())
    except ConnectionError:
        return
    except _Child as child:
        to_run = child.wanted
    else:
        return
    # Outside the handler, so that errors of the command do not come with one of ours.
    _become(to_run)


def _serve(commands: socket.socket, parent: int) -> None:
    """Forks at each command, and tells the process id; returns when the commands end. Raises `_Child`."""
    while head := commands.recv(NUMBER_BYTES, socket.MSG_WAITALL):
        wanted = json.loads(commands.recv(int.from_bytes(head, "big"), socket.MSG_WAITALL))
        _, (output,), _, _ = socket.recv_fds(commands, 1, 1)
        pid = _forked(wanted, output, parent, commands)
        os.close(output)
        commands.sendall(pid.to_bytes(NUMBER_BYTES, "big"))


def _forked(wanted: Mapping[str, Any], output: int, parent: int, commands: socket.socket) -> int:
    """Returns the id of the new child of the parent; `UNABLE` if it did not become one. Raises `_Child`."""
    adopted, adopts = os.pipe()
    said, says = os.pipe()
    between = os.fork()
    if between == 0:
        pid = os.fork()
        if pid:
            os.write(says, pid.to_bytes(NUMBER_BYTES, "big"))
            os._exit(0)
        for descriptor in (adopts, said):
            os.close(descriptor)
        # Nothing is written to it: it is closed when the process in between has ended.
        os.read(adopted, 1)
        if not _settled(parent, wanted["death_signal"]):
            os._exit(1)
        os.dup2(output, 1)
        os.dup2(output, 2)
        commands.close()
        os.write(says, READY)
        for descriptor in (adopted, says, output):
            os.close(descriptor)
        raise _Child(wanted)
    os.close(says)
    os.waitpid(between, 0)
    for descriptor in (adopted, adopts):
        os.close(descriptor)
    with os.fdopen(said, "rb") as answer:
        pid = int.from_bytes(answer.read(NUMBER_BYTES), "big")
        return pid if answer.read() == READY else UNABLE


def _settled(parent: int, death_signal: int) -> bool:
    """Gives this process a session of its own, and has it end with the parent; False if that is another."""
    os.setsid()
    ctypes.CDLL(None).prctl(SET_PDEATHSIG, death_signal)
    return os.getppid() == parent


def _become(wanted: Mapping[str, Any]) -> None:
    """Runs the module as a new interpreter would."""
    os.environ.clear()
    os.environ.update(wanted["env"])
    setproctitle(" ".join([sys.executable, "-m", wanted["module"], *wanted["arguments"]]))
    # No two processes have the same random numbers, and each has its own time zone.
    random.seed()
    time.tzset()
    sys.argv = [wanted["module"], *wanted["arguments"]]
    # It is run now, and was imported only for what it imports; runpy would warn of that.
    sys.modules.pop(f"{wanted['module']}.__main__", None)
    runpy.run_module(wanted["module"], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
