"""Ports that no other test run and no worker of this one is given at the same time."""

from __future__ import annotations

import fcntl
import functools
import os
import random
import socket
import tempfile
from pathlib import Path

# Below those that outgoing connections get, one of which could take a port before its server starts.
FIRST, LAST = 10_000, 32_000


def free_port() -> int:
    """A port of the loopback interface that nothing listens on; it is this process's until that ends."""
    return free_ports(1)


def free_ports(count: int) -> int:
    """The first of `count` free ports in a row."""
    while True:
        first = random.SystemRandom().randrange(FIRST, LAST - count)
        if reserved(first, count) and all(_free(port) for port in range(first, first + count)):
            return first


def reserved(first: int, count: int) -> bool:
    """Whether the ports were reserved now: by a lock on as many bytes of a file, which the kernel releases
    when the process ends.
    """
    mine, wanted = _taken(), set(range(first, first + count))
    # A process doesn't exclude itself by such locks.
    if mine & wanted:
        return False
    try:
        fcntl.lockf(_lock_file(), fcntl.LOCK_EX | fcntl.LOCK_NB, count, first)
    except (BlockingIOError, PermissionError):
        return False
    mine |= wanted
    return True


@functools.cache
def _taken() -> set[int]:
    return set()


@functools.cache
def _lock_file() -> int:
    """Never closed: closing it would release the locks."""
    path = Path(tempfile.gettempdir()) / f"celeriac-test-ports-{os.getuid()}.lock"
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _free(port: int) -> bool:
    with socket.socket() as probe:
        # As servers do: connections of an earlier one that linger in TIME_WAIT are no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
