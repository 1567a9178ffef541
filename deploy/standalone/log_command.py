"""The command `logs`: reads what is asked for, and shows it."""

from __future__ import annotations

import argparse
import datetime as dt
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from deploy.standalone.follow import Out, show
from deploy.standalone.lock import holder
from deploy.standalone.log_files import names
from deploy.standalone.log_filter import LEVELS, Wanted
from deploy.standalone.log_times import EXAMPLES, NoTime, typed
from deploy.standalone.logs import Console, JsonLines
from deploy.standalone.settings import StandaloneSettings

LONGEST_ID = 300


def logs(settings: StandaloneSettings, asked: argparse.Namespace) -> int:
    """Shows lines on a terminal, or passes them on as JSON; returns the exit code.

    Raises SystemExit that names the variable at fault, with an example.
    """
    wanted = _wanted(asked)
    chosen = _chosen(settings.logs, asked.name)
    on_terminal = sys.stdout.isatty()
    out: Out = Console(fitted=not asked.long) if on_terminal or asked.long else JsonLines()
    try:
        show(settings.logs, chosen, wanted, out, lambda: asked.follow and holder(settings.run) is not None)
    except KeyboardInterrupt:
        return 0
    if out.closed:
        # Python would complain at its end that it can't write what is left.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    elif asked.follow and not asked.until:
        print(f"nothing runs in {settings.state}: these were the last lines", file=sys.stderr)
    return 0


def _chosen(folder: Path, name: str) -> Sequence[str]:
    known = names(folder)
    if name and name not in known:
        raise SystemExit(f"NAME={name} has no log in {folder}; there are: {', '.join(known) or 'none'}")
    return [name] if name else known


def _wanted(asked: argparse.Namespace) -> Wanted:
    now = dt.datetime.now(dt.UTC)
    level = asked.level.lower()
    if level and level not in LEVELS:
        raise SystemExit(
            f"LEVEL={asked.level} is none of {', '.join(LEVELS)}; for example: make logs LEVEL=warning"
        )
    since, until = _time("SINCE", asked.since, now), _time("UNTIL", asked.until, now)
    if since and until and until < since:
        raise SystemExit(
            f"UNTIL={asked.until} is before SINCE={asked.since}; for example: make logs SINCE=2h UNTIL=1h"
        )
    return Wanted(level, _id("TASK", asked.task), _id("REQUEST", asked.request), since, until)


def _time(variable: str, text: str, now: dt.datetime) -> str:
    try:
        return typed(text, now) if text else ""
    except NoTime as error:
        raise SystemExit(
            f"{variable}={text} {error}: give {EXAMPLES}; for example: make logs {variable}=10m"
        ) from None


def _id(variable: str, text: str) -> str:
    if not text.isprintable() or len(text) > LONGEST_ID:
        example = "make logs TASK=3f0d7c1e-5f8e-5d0a-9a53-0a6f9c1d2b7e"
        if variable == "REQUEST":
            example = "make logs REQUEST=ticket-4711"
        raise SystemExit(
            f"{variable}={text[:40]!r} must have at most {LONGEST_ID} characters that can be seen;"
            f" for example: {example}"
        )
    return text
