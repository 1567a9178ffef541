"""Converts between protobuf's well-known types and Python's, and reads fields that many requests have."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Collection
from typing import Any, TypeAlias

import grpc.aio
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from services.kernel.identity import current_subject
from services.kernel.once import EXAMPLE, Once
from services.kernel.validation import Faults

# The second argument of a servicer's method, after the request.
Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def timestamp(moment: dt.datetime | None) -> Timestamp | None:
    """Returns the Timestamp of an aware datetime; None, which leaves a field unset, for None.

    An infinite moment of the database is the first or the last one that a Timestamp can hold.
    """
    if moment is None:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=dt.UTC)
    # The same result as Timestamp.FromDatetime, in a third of the time.
    since = moment - EPOCH
    return Timestamp(seconds=since.days * 86400 + since.seconds, nanos=since.microseconds * 1000)


def duration(seconds: float | None) -> Duration | None:
    """Returns the Duration, rounded to microseconds; None, which leaves a field unset, for None."""
    if seconds is None:
        return None
    message = Duration()
    message.FromMicroseconds(round(seconds * 1_000_000))
    return message


def moment_in(message: Message, field: str, faults: Faults, at: str = "") -> dt.datetime | None:
    """Returns the time in a Timestamp field; None if it is unset, or out of range (added to `faults`).

    `at` is the field's path in the request, for the fault; `field` when empty.
    """
    if not message.HasField(field):
        return None
    try:
        moment: dt.datetime = getattr(message, field).ToDatetime(dt.UTC)
    except (ValueError, OverflowError):
        faults.add(at or field, "is not a time between the years 1 and 9999", "2026-11-24T00:00:00Z")
        return None
    return moment


def once_in(request: Any, faults: Faults, scope: str, without: Collection[str] = ()) -> Once | None:
    """Returns the request's `request_id` with its scope and digest.

    The digest covers the caller and all fields but `request_id` and those in `without`. None when there is no
    id, when it is not valid (added to `faults`), or when the request has `validate_only`.
    """
    sound = faults.name("request_id", request.request_id, EXAMPLE, most=100, required=False)
    only_checked = "validate_only" in request.DESCRIPTOR.fields_by_name and request.validate_only
    if not sound or not request.request_id or only_checked:
        return None
    rest = type(request)()
    rest.CopyFrom(request)
    for field in ("request_id", *without):
        rest.ClearField(field)
    digest = hashlib.sha256(f"{rest.DESCRIPTOR.full_name}\0{current_subject()}\0".encode())
    digest.update(rest.SerializeToString(deterministic=True))
    return Once(scope, request.request_id, digest.digest())


def window_in(request: Message, faults: Faults) -> tuple[dt.datetime | None, dt.datetime | None]:
    """Returns the half-open window from `start_time` to `end_time`; None for a side that is not set."""
    start, end = moment_in(request, "start_time", faults), moment_in(request, "end_time", faults)
    in_order = start is None or end is None or start < end
    faults.unless(in_order, "end_time", "is not after start_time", "2026-11-24T00:00:00Z")
    return start, end
