"""Sends messages over channels, each by a process that is killed if it takes too long."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE

import orjson

from services.kernel.masking import without_credentials
from services.monitor.alerts.channels import Channel

# How long one message may take, with the start of its process.
MOST_SECONDS = 20.0
MOST_ERROR = 300
PROGRAM = ("-m", "services.monitor.alerts.apprise_call")


async def send(channel: Channel, title: str, body: str) -> str:
    """Sends a message. Returns why it was not taken, without passwords; empty if it was."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, *PROGRAM, stdin=PIPE, stdout=PIPE, stderr=PIPE, start_new_session=True
    )
    told = orjson.dumps({"url": channel.url, "title": title, "body": body})
    try:
        async with asyncio.timeout(MOST_SECONDS):
            answer, _ = await process.communicate(told)
    except TimeoutError:
        return f"it did not answer within {MOST_SECONDS:g} s"
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        return f"the process that sends ended with {process.returncode}"
    return _safe(str(orjson.loads(answer)["error"]), channel)


def _safe(error: str, channel: Channel) -> str:
    """Returns the error without what the address may have of secrets."""
    secret = channel.url.partition("://")[2]
    return without_credentials(error.replace(channel.url, channel.kind).replace(secret, "…"))[:MOST_ERROR]
