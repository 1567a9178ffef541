"""Sends one message by Apprise: the program `python -m services.monitor.alerts.apprise_call`.

It is a process of its own because Apprise takes 40 MB and most of a second to load, which a monitor that has
nothing to tell need not spend; and because what hangs in it can be killed.

It reads a JSON object {"url", "title", "body", "kind"} from its standard input, so that no list of processes
shows the address; `kind` is one of Apprise's own: info, success, warning, failure. It writes {"error"}: empty
if the message was taken.
"""

from __future__ import annotations

import contextlib
import json
import logging
import sys
from typing import Any


def main() -> None:
    told = json.load(sys.stdin)
    # What a plugin prints is no part of the answer.
    with contextlib.redirect_stdout(sys.stderr):
        error = send(told["url"], told["title"], told["body"], told["kind"])
    json.dump({"error": error}, sys.stdout)


def send(url: str, title: str, body: str, kind: str) -> str:
    """Sends the message. Returns why it was not taken; empty if it was."""
    import apprise

    channel = apprise.Apprise()
    if not channel.add(url):
        return "the url is no address that Apprise knows; see the list of its services"
    # Any: Apprise declares no types.
    log_capture: Any = apprise.LogCapture
    with log_capture(level=logging.WARNING, fmt="%(message)s") as said:
        if channel.notify(title=title, body=body, notify_type=kind):
            return ""
        words = " ".join(said.getvalue().split())
    return words or "Apprise did not say why"


if __name__ == "__main__":
    main()
