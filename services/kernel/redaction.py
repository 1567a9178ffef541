"""Requests as the audit log keeps them: sensitive fields replaced, size bounded."""

from __future__ import annotations

import hashlib
from typing import Any

import orjson
from celeriac.access.v1 import policy_pb2
from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

REDACTED = "[redacted]"
MOST_BYTES = 64 * 1024

# protoc's own stubs type an extension as a bare FieldDescriptor.
_sensitive: Any = policy_pb2.sensitive


def redacted(request: Message) -> dict[str, Any]:
    """Returns the request as JSON values, without the fields marked `celeriac.access.v1.sensitive`.

    A marked field is replaced by "[redacted]", whatever its type; in a list or a map each element is, so that
    their number and the map's keys stay visible. A request of more than 64 KiB is replaced by its size in
    bytes and its SHA-256; one that JSON can't represent (a time out of range) by its size.
    """
    try:
        kept: dict[str, Any] = json_format.MessageToDict(request, preserving_proto_field_name=True)
    except (ValueError, json_format.Error):
        # A Timestamp or a Duration beyond its range has no JSON; the handler's own error names the field.
        return {"cut": True, "bytes": request.ByteSize()}
    _redact(request, kept)
    encoded = orjson.dumps(kept, option=orjson.OPT_SORT_KEYS)
    if len(encoded) > MOST_BYTES:
        return {"cut": True, "bytes": len(encoded), "sha256": hashlib.sha256(encoded).hexdigest()}
    return kept


def _redact(message: Message, kept: dict[str, Any]) -> None:
    """Walks a message and its JSON side by side."""
    for field, value in message.ListFields():
        if field.GetOptions().Extensions[_sensitive]:
            kept[field.name] = _replaced(kept[field.name], field)
        elif not _may_hold_sensitive(field):
            continue
        elif _is_map(field):
            for key, inner in value.items():
                _redact(inner, kept[field.name][_json_key(key)])
        elif field.is_repeated:
            for inner, inner_kept in zip(value, kept[field.name], strict=True):
                _redact(inner, inner_kept)
        else:
            _redact(value, kept[field.name])


def _replaced(kept: Any, field: FieldDescriptor) -> Any:
    if _is_map(field):
        return dict.fromkeys(kept, REDACTED)
    return [REDACTED] * len(kept) if field.is_repeated else REDACTED


def _may_hold_sensitive(field: FieldDescriptor) -> bool:
    kind: Descriptor | None = field.message_type
    if kind is not None and _is_map(field):
        kind = kind.fields_by_name["value"].message_type
    # Google's own types are never marked, and their JSON is often not an object: a Timestamp is a text.
    return kind is not None and not kind.full_name.startswith("google.")


def _is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def _json_key(key: object) -> str:
    return str(key).lower() if isinstance(key, bool) else str(key)
