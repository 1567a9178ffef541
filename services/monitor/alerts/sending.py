"""Sends messages over channels, each by a process that is killed if it takes too long."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from urllib.parse import quote, unquote, unquote_plus

import orjson

from services.kernel.masking import without_credentials
from services.monitor.alerts.channels import Channel
from services.monitor.alerts.messages import INFO

# How long one message may take, with the start of its process.
MOST_SECONDS = 20.0
MOST_ERROR = 300
# What separates the parts of an address, and the length from which on a part is hidden in what is told: a
# shorter one stands in many words.
SEPARATORS = re.compile(r"[/:@?&=,;#+\s]")
LEAST_SECRET = 4
PROGRAM = ("-m", "services.monitor.alerts.apprise_call")


async def send(channel: Channel, title: str, body: str, kind: str = INFO) -> str:
    """Sends a message. Returns why it was not taken, without passwords; empty if it was.

    `kind`: as `messages.kind_of` returns it. Whatever goes wrong is such a reason: it must not keep other
    channels from their messages.
    """
    told = orjson.dumps({"url": channel.url, "title": title, "body": body, "kind": kind})
    try:
        # Its standard error may have the address, and any amount of text.
        process = await asyncio.create_subprocess_exec(
            sys.executable, *PROGRAM, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, start_new_session=True
        )
    except OSError as error:
        return f"no process that sends could be started: {error.strerror}"
    try:
        async with asyncio.timeout(MOST_SECONDS):
            answer, _ = await process.communicate(told)
    except TimeoutError:
        return f"it did not answer within {MOST_SECONDS:g} s"
    finally:
        await _end(process)
    if process.returncode:
        return f"the process that sends ended with {process.returncode}"
    said = _error_in(answer)
    return "the process that sends did not say what came of it" if said is None else _safe(said, channel)


def _error_in(answer: bytes) -> str | None:
    """Returns the error that the process wrote; None if it wrote something else."""
    try:
        told = orjson.loads(answer)
    except orjson.JSONDecodeError:
        return None
    error = told.get("error") if isinstance(told, dict) else None
    return error if isinstance(error, str) else None


async def _end(process: Process) -> None:
    """Ends the process, and those that a plugin of Apprise started in it."""
    with contextlib.suppress(ProcessLookupError):
        # Its number is that of its session's group, which may outlive it.
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()


def _safe(error: str, channel: Channel) -> str:
    """Returns the error without what the address may have of secrets.

    Any part of an address may be one, and plugins of Apprise quote some: "the token 1234-abcd is not valid".
    """
    secret = channel.url.partition("://")[2]
    parts = {form(part) for part in SEPARATORS.split(secret) for form in (str, unquote, unquote_plus, quote)}
    hidden = sorted((part for part in parts if len(part) >= LEAST_SECRET), key=len, reverse=True)
    told = error.replace(channel.url, channel.kind).replace(secret, "…")
    if hidden:
        told = re.sub("|".join(map(re.escape, hidden)), "…", told, flags=re.IGNORECASE)
    return without_credentials(told)[:MOST_ERROR]
