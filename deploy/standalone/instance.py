"""The name of a copy of the system, which tells it from others on the same host.

A browser keeps cookies by host alone, not by port: with the same name for its cookie, each of two copies
would sign the other's people out. The name is kept in the state folder, so that it stays the same when that
moves, and differs where two containers have their folders under the same path.
"""

from __future__ import annotations

import secrets
from pathlib import Path

from deploy.standalone.certificates import write_private


def name_of(state: Path) -> str:
    """Returns the name, which is made at the first start."""
    path = state / "keys" / "instance"
    if not path.exists():
        write_private(path, secrets.token_hex(4).encode())
    return path.read_text().strip()
