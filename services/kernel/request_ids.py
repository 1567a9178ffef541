"""The request id of the call being served, which goes with all that the call brings about.

A caller sends it as `x-request-id`, or the gateway makes one. The first step of a call binds it
(grpc/observe.py; at the door, observe.py); messages to workers carry it (celery_message.py), and so do calls
to other services (channel.py).
"""

from __future__ import annotations

import structlog

NAME = "request_id"
METADATA = "x-request-id"


def current_request_id() -> str:
    """Returns the request id of the call of which this work comes; "" if it comes of none."""
    return str(structlog.contextvars.get_contextvars().get(NAME, ""))
