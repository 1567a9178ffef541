"""Processes of our own commands, forked from a process that has imported what they import.

A service needs a second of a processor for its imports, and a test run starts some hundred services. A
`Nursery` imports the modules once, and forks for each start; the child then runs `python -m module …` as the
interpreter would, from its first line. The starts of `make up` and of other commands are real ones, and so
are all in benchmarks, which have no nurseries: they measure the memory of a process.

    python -m tests.support.forked <file descriptor> <module to import> …
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import random
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).parents[2]
MOST_BYTES = 1 << 20
# What Celery imports only when its worker starts.
OF_CELERY = (
    "celery.bin.worker",
    "celery.apps.worker",
    "celery.concurrency.prefork",
    "celery.backends.redis",
    "kombu.transport.redis",
)
# What each command imports; its own module is run, not imported.
IMPORTS: Mapping[str, Sequence[str]] = {
    "services.scheduler": ["services.scheduler.__main__"],
    "services.monitor": ["services.monitor.serving", "services.monitor.relaying"],
    "services.door": ["services.door.__main__", "services.door.serving"],
    "services.audit": ["services.audit.__main__"],
    "services.embedder": ["services.embedder.__main__", "services.embedder.commands"],
    "tests.support.bigram_embedder": [
        "services.embedder.serving",
        "services.embedder.bulk.tasks",
        *OF_CELERY,
    ],
    "tests.support.celery_workers": ["celery", "tests.support.calls", *OF_CELERY],
}


class Forked:
    """A process of a nursery; it is used as a `subprocess.Popen` is."""

    def __init__(self, pid: int, ended: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        # The nursery writes the exit code to the other end of this pipe.
        self._ended = os.fdopen(ended, "rb", buffering=0)

    def poll(self) -> int | None:
        return self._look(0)

    def wait(self, timeout: float | None = None) -> int:
        code = self._look(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _look(self, seconds: float | None) -> int | None:
        if self.returncode is None:
            with selectors.DefaultSelector() as selector:
                selector.register(self._ended, selectors.EVENT_READ)
                if not selector.select(seconds):
                    return None
            said = self._ended.read()
            self._ended.close()
            # Nothing is said when the nursery itself was killed.
            self.returncode = int(said) if said else -signal.SIGKILL
        return self.returncode


# A process of ours, however it was started.
Process = Forked | subprocess.Popen[bytes]
_nurseries: dict[str, Nursery] | None = None


@contextlib.contextmanager
def nurseries() -> Iterator[None]:
    """Until the end, processes are forked; each nursery is made when the first of its kind starts."""
    global _nurseries
    _nurseries = {}
    try:
        yield
    finally:
        for nursery in _nurseries.values():
            nursery.stop()
        _nurseries = None


def start(
    module: str,
    *arguments: str,
    env: Mapping[str, str],
    output: IO[bytes],
    new_session: bool = False,
) -> Process:
    """Runs `python -m module …` in the project's folder; `output` is its standard output and error."""
    if _nurseries is None:
        command = [sys.executable, "-m", module, *arguments]
        return subprocess.Popen(
            command, env=dict(env), cwd=ROOT, stdout=output, stderr=output, start_new_session=new_session
        )
    if module not in _nurseries:
        _nurseries[module] = Nursery(IMPORTS[module])
    return _nurseries[module].start(module, arguments, env, output, new_session)


class Nursery:
    """A process that has imported the modules, and forks. It ends, with its children, with this one."""

    def __init__(self, imports: Sequence[str]) -> None:
        self._socket, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.forked", str(theirs.fileno()), *imports],
                pass_fds=[theirs.fileno()],
                cwd=ROOT,
                # Ctrl-C would end it before the tests stop its children, which would then be left behind.
                start_new_session=True,
            )

    def start(
        self,
        module: str,
        arguments: Sequence[str],
        env: Mapping[str, str],
        output: IO[bytes],
        new_session: bool,
    ) -> Forked:
        wanted = {"module": module, "arguments": arguments, "env": dict(env), "new_session": new_session}
        ended, says = os.pipe()
        try:
            message = json.dumps(wanted).encode()
            assert len(message) <= MOST_BYTES
            self._socket.sendall(len(message).to_bytes(4, "big"))
            self._socket.sendall(message)
            socket.send_fds(self._socket, [b"\0"], [output.fileno(), says])
        finally:
            os.close(says)
        pid = self._socket.recv(4, socket.MSG_WAITALL)
        if not pid:
            raise AssertionError(f"the nursery ended with {self._process.wait()}: what does {module} import?")
        return Forked(int.from_bytes(pid, "big"), ended)

    def stop(self) -> None:
        self._socket.close()
        self._process.wait()


class _Child(Exception):
    """This is the child, which is to run the module."""

    def __init__(self, wanted: Mapping[str, Any]) -> None:
        super().__init__(wanted)
        self.wanted = wanted


def _serve(commands: socket.socket) -> None:
    """Forks at each command, and tells the exit codes; returns when the commands end. Raises `_Child`."""
    children: dict[int, int] = {}
    wakes, woken = socket.socketpair()
    woken.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(woken.fileno())
    with selectors.DefaultSelector() as selector:
        selector.register(commands, selectors.EVENT_READ)
        selector.register(wakes, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is wakes:
                    wakes.recv(1000)
                    _tell_ended(children)
                    continue
                head = commands.recv(4, socket.MSG_WAITALL)
                if not head:
                    signal.set_wakeup_fd(-1)
                    for pid in children:
                        os.kill(pid, signal.SIGKILL)
                    return
                wanted = json.loads(commands.recv(int.from_bytes(head, "big"), socket.MSG_WAITALL))
                _, (output, says), _, _ = socket.recv_fds(commands, 1, 2)
                pid = os.fork()
                if pid == 0:
                    signal.set_wakeup_fd(-1)
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    for end in (wakes, woken, commands):
                        end.close()
                    for pipe in (*children.values(), says):
                        os.close(pipe)
                    os.dup2(output, 1)
                    os.dup2(output, 2)
                    os.close(output)
                    raise _Child(wanted)
                os.close(output)
                children[pid] = says
                commands.sendall(pid.to_bytes(4, "big"))


def _tell_ended(children: dict[int, int]) -> None:
    for pid in list(children):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            # Nobody may read any more.
            with contextlib.suppress(BrokenPipeError), os.fdopen(children.pop(pid), "wb") as says:
                says.write(str(os.waitstatus_to_exitcode(status)).encode())


def _become(wanted: Mapping[str, Any]) -> None:
    if wanted["new_session"]:
        os.setsid()
    os.environ.clear()
    os.environ.update(wanted["env"])
    # As a new interpreter has it: no two replicas have the same random numbers.
    random.seed()
    time.tzset()
    sys.argv = [wanted["module"], *wanted["arguments"]]
    # It is run now, and was imported only for what it imports; runpy would warn of that.
    sys.modules.pop(f"{wanted['module']}.__main__", None)
    runpy.run_module(wanted["module"], run_name="__main__", alter_sys=True)


def main() -> None:
    commands = socket.socket(fileno=int(sys.argv[1]))
    for module in sys.argv[2:]:
        importlib.import_module(module)
    try:
        _serve(commands)
    except _Child as child:
        wanted = child.wanted
    else:
        return
    # Outside the handler, so that errors of the command do not come with one of ours.
    _become(wanted)


if __name__ == "__main__":
    main()
