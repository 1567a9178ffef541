"""Names for completion and suggestions, kept in a file for each target.

Completion must not wait for a network, and importing grpc takes as long as one: it reads the file, and if
that is older than a minute, has a process beside it write a new one. Commands that list names write them as
well.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import click

    from celeriac.client import Client

FRESH_SECONDS = 60.0
MOST = 2000
KINDS = ("schedules", "queues", "workers", "config")


def path(kind: str) -> Path:
    """Returns the file of the names of a kind, for the target of now."""
    import hashlib

    from celeriac.contexts import read_contexts

    found = read_contexts().named(os.environ.get("CELERIAC_CONTEXT"))
    target = os.environ.get("CELERIAC_TARGET") or found.target
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "celeriac"
    return folder / f"{kind}-{hashlib.sha256(target.encode()).hexdigest()[:12]}.json"


def kept(kind: str) -> list[str]:
    """Returns the names that are kept; [] if there are none."""
    try:
        found = json.loads(path(kind).read_text("utf-8"))
    except (OSError, ValueError):
        return []
    return [str(name) for name in found] if isinstance(found, list) else []


def keep(kind: str, names: Iterable[str]) -> None:
    """Writes the names. Does nothing where that is not possible: they are a help, and nothing more."""
    try:
        file = path(kind)
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        beside = file.with_name(f"{file.name}.{os.getpid()}")
        beside.write_text(json.dumps(sorted(names)[:MOST]), "utf-8")
        beside.replace(file)
    except (OSError, ValueError):
        pass


def completing(kind: str) -> Callable[[click.Context, click.Parameter, str], Sequence[str]]:
    """Returns what click asks for the completions of an argument."""

    def complete(_: click.Context, __: click.Parameter, begun: str) -> list[str]:
        try:
            if _is_old(path(kind)):
                _renew(kind)
        except (OSError, ValueError):
            return []
        return [name for name in kept(kind) if name.startswith(begun)]

    return complete


def _is_old(file: Path) -> bool:
    try:
        return time.time() - file.stat().st_mtime > FRESH_SECONDS
    except OSError:
        return True


def _renew(kind: str) -> None:
    import subprocess

    file = path(kind)
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    # So that the next key press starts no second one.
    file.touch() if file.exists() else file.write_text("[]")
    subprocess.Popen(
        [sys.executable, "-m", "celeriac.cli.names", kind],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def asked(client: Client, kind: str, deadline: float = 2.0) -> list[str]:
    """Returns the names of a kind as the system has them now, and keeps them."""
    lists: dict[str, Callable[..., Any]] = {
        "schedules": client.schedules.list,
        "queues": client.queues.list,
        "workers": client.workers.list,
        "config": client.config.list,
    }
    found = [item.id for item in lists[kind](limit=MOST, deadline=deadline)]
    keep(kind, found)
    return found


def nearest(wanted: str, known: Sequence[str]) -> str:
    """Returns the known name that was probably meant; "" if none is near."""
    import difflib

    begun = [name for name in known if name.startswith(wanted)]
    if begun:
        return begun[0]
    near = difflib.get_close_matches(wanted, known, 1, 0.5)
    held = [name for name in known if wanted and wanted in name]
    return (near or held or [""])[0]


def main() -> None:
    """Writes the names of a kind anew: the process beside a completion."""
    from celeriac.client import connect

    with connect() as client:
        asked(client, sys.argv[1])


if __name__ == "__main__":
    main()
