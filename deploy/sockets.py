"""How long the path of a Unix socket may be."""

from __future__ import annotations

import os
from pathlib import Path

# sun_path has 108 bytes, with the final NUL (unix(7)).
LONGEST_SOCKET_PATH = 107


def fits(socket: Path) -> bool:
    """Whether a socket can be made at this path."""
    return len(os.fsencode(socket)) <= LONGEST_SOCKET_PATH
