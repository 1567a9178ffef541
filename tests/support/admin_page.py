"""Envoy's admin page, over its Unix socket."""

from __future__ import annotations

import contextlib
import http.client
import socket
from pathlib import Path


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=10)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def ask_admin_page(path: Path, page: str, verb: str = "GET") -> bytes:
    """What the page answers; raises OSError where nothing listens, or where it refuses."""
    with contextlib.closing(_UnixConnection(path)) as connection:
        connection.request(verb, page)
        answer = connection.getresponse()
        content = answer.read()
    if answer.status != 200:
        raise OSError(f"Envoy's admin page answers {verb} {page} by {answer.status}: {content[:200]!r}")
    return content
