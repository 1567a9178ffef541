"""Alerts for tests, and an HTTP server in the place of a chat that people are told by."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from services.monitor.alerts.alert import Alert
from services.monitor.alerts.rule import Comparison, Severity

FIRED_AT = dt.datetime(2026, 11, 30, 12, 0, 30, tzinfo=dt.UTC)


def an_alert(**changed: Any) -> Alert:
    """A queue that is too long; what is given differs."""
    usual: dict[str, Any] = {
        "id": 17,
        "rule": "queue-long",
        "subject": "ai_analysis",
        "measure": "queue_length",
        "comparison": Comparison.AT_LEAST,
        "threshold": 10.0,
        "severity": Severity.WARNING,
        "description": "Workers do not keep up.",
        "labels": {"team": "rvt"},
        "runbook_url": "https://wiki/runbook#queue-long",
        "value": 12.0,
        "worst": 30.0,
        "last": 14.0,
        "since": FIRED_AT - dt.timedelta(seconds=30),
        "fired_at": FIRED_AT,
        "ended_at": None,
        "end_reason": "",
        "acknowledged_by": "",
        "acknowledged_at": None,
        "acknowledge_note": "",
        "version": 1,
    }
    return Alert(**{**usual, **changed})


class Inbox:
    """What was sent to it, as (title, text); it refuses messages while `answer` is not 200."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, str]] = []
        self.refused = 0
        self.answer = 200
        self.port = 0

    @property
    def url(self) -> str:
        """Its address as Apprise has it, with a password that nobody may be shown."""
        return f"json://mei:s3cr3t-p4ssword@127.0.0.1:{self.port}/alerts"

    def about(self, words: str) -> list[tuple[str, str]]:
        """The messages with these words: those of another test before it may come late."""
        return [(title, text) for title, text in self.messages if words in text]

    def texts(self) -> str:
        return "\n".join(f"{title}\n{text}" for title, text in self.messages)


@contextlib.contextmanager
def opened_inbox() -> Iterator[Inbox]:
    inbox = Inbox()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if inbox.answer == 200:
                inbox.messages.append((told["title"], told["message"]))
            else:
                inbox.refused += 1
            self.send_response(inbox.answer)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    inbox.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield inbox
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
