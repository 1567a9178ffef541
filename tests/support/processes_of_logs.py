"""Which logs of a test run are of our own processes, by the names that tests give them."""

from __future__ import annotations

import re
from pathlib import Path

from services import STORING

# Under `make up` each file has the name of its component; these are of servers that have forms of their own.
SERVERS = frozenset({"postgres", "valkey"})
# Elsewhere: services with their commands ("scheduler-migrate"), their workers, and the gateway's calls.
OURS = re.compile(
    rf"(?:{'|'.join(STORING)}|relay|replica|refused-worker|embedder-worker|bigrams-worker)(?:-[\w-]+)?|envoy-\d+"
)


def is_ours(path: Path) -> bool:
    """Whether every line in it is to be one of docs/logs.md."""
    if path.parent.name == "logs":
        return path.name.partition(".")[0] not in SERVERS
    return OURS.fullmatch(path.stem) is not None


def is_servers_own(path: Path, line: str) -> bool:
    """Whether it is of Envoy's own log, which is in one file with the calls under `make up`.

    At debug one message has many lines, which have nothing in common but that they are no objects.
    """
    return path.name.startswith("gateway.log") and not line.startswith("{")
