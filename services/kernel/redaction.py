"""A request as it may be kept: sensitive fields replaced, size bounded."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import orjson
from celeriac.access.v1 import policy_pb2
from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

REDACTED = "[redacted]"
MOST_BYTES = 64 * 1024

# protoc's own stubs type an extension as a bare FieldDescriptor.
_sensitive: Any = policy_pb2.sensitive


def redacted(request: Message) -> dict[str, Any]:
    """The request as JSON values, without what `celeriac.access.v1.sensitive` marks.

    A request of more than 64 KiB is replaced by its size and SHA-256.
    """
    copy = type(request)()
    copy.CopyFrom(request)
    _redact(copy)
    kept: dict[str, Any] = json_format.MessageToDict(copy, preserving_proto_field_name=True)
    encoded = orjson.dumps(kept, option=orjson.OPT_SORT_KEYS)
    if len(encoded) > MOST_BYTES:
        return {"cut": True, "bytes": len(encoded), "sha256": hashlib.sha256(encoded).hexdigest()}
    return kept


def _redact(message: Message) -> None:
    for field, value in message.ListFields():
        if field.GetOptions().Extensions[_sensitive]:
            _replace(message, field)
        elif field.type == FieldDescriptor.TYPE_MESSAGE:
            if isinstance(value, Mapping):
                continue  # maps of ours hold labels and headers: plain strings
            for inner in value if field.is_repeated else [value]:
                _redact(inner)


def _replace(message: Message, field: FieldDescriptor) -> None:
    repeated, text = field.is_repeated, field.type == FieldDescriptor.TYPE_STRING
    count = len(getattr(message, field.name)) if repeated else 1
    message.ClearField(field.name)
    if text and repeated:
        getattr(message, field.name).extend([REDACTED] * count)
    elif text:
        setattr(message, field.name, REDACTED)
