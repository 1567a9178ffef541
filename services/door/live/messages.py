"""The texts that are sent over a socket: JSON objects with a `type` and its `data`.

What the contracts define is in their JSON form with their field names, as the REST answers are.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from typing import Any

from celeriac.monitor.v1.monitoring_pb2 import WatchEventsRequest
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from services.kernel import errors

SUBPROTOCOL = "celeriac.v1"


def hello(wish: WatchEventsRequest, cursor: str, resumed: bool) -> str:
    """Returns the first message, and the first after each new subscription.

    `resumed`: nothing was missed since the cursor that the client had. Otherwise it lists tasks and workers.
    """
    return _text(
        "hello",
        {
            "cursor": cursor,
            "resumed": resumed,
            "server_time": dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "subscription": MessageToDict(wish, preserving_proto_field_name=True),
        },
    )


def told(kind: str, message: Message, cursor: str) -> str:
    data = MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
    return _text(kind, data, cursor=cursor)


def skipped(count: int) -> str:
    """Returns the message in place of so many changes of tasks, which were left out."""
    return _text("skipped", {"count": count})


def error(fault: errors.CeleriacError) -> str:
    """Returns the message of an error after which the socket stays open."""
    data: dict[str, Any] = {"reason": fault.reason, "message": fault.message}
    if isinstance(fault, errors.Invalid):
        data["fields"] = [
            {"field": each.field, "fault": each.fault, "example": each.example} for each in fault.faults
        ]
    return _text("error", data)


def pong() -> str:
    return _text("pong", {})


def _text(kind: str, data: Mapping[str, Any], **beside: str) -> str:
    return json.dumps({"type": kind, "data": data, **beside}, ensure_ascii=False, separators=(",", ":"))
