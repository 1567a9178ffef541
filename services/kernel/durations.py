"""Lengths of time that callers send: whole milliseconds, wherever a google.protobuf.Duration comes in.

A Duration has nanoseconds, and what is kept has milliseconds. A shorter part is refused, not rounded: the
caller would otherwise read another length than the one that was sent.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message

from services.kernel.validation import Faults

EXAMPLE = "0.5s"
# The limits of the type: google/protobuf/duration.proto.
MOST_SECONDS, MOST_NANOS = 315_576_000_000, 999_999_999
NANOS_OF_A_MILLISECOND = 1_000_000
MILLISECOND = dt.timedelta(milliseconds=1)


class DurationFault(ValueError):
    """What is wrong with a Duration. The text continues a sentence that begins with the name of its field."""


def span_of(message: Duration) -> dt.timedelta:
    """Returns the length of time. Raises `DurationFault`: malformed, or not in whole milliseconds."""
    seconds, nanos = message.seconds, message.nanos
    if abs(nanos) > MOST_NANOS:
        raise DurationFault(f"is malformed: it has {nanos} nanos, they must be -{MOST_NANOS} to {MOST_NANOS}")
    if seconds * nanos < 0:
        raise DurationFault(f"is malformed: its {seconds} seconds and {nanos} nanos differ in sign")
    if abs(seconds) > MOST_SECONDS:
        raise DurationFault(f"is malformed: it has {seconds} seconds, more than 10,000 years")
    if nanos % NANOS_OF_A_MILLISECOND:
        raise DurationFault(not_whole(Decimal(seconds) + Decimal(nanos) / 10**9))
    return dt.timedelta(seconds=seconds, milliseconds=nanos // NANOS_OF_A_MILLISECOND)


def span_in(
    message: Message, field: str, faults: Faults, at: str = "", example: str = EXAMPLE
) -> dt.timedelta | None:
    """Returns the length of time in a Duration field; None if it is unset, or at fault (added to `faults`).

    `at` is the field's path in the request, for the fault; `field` when empty.
    """
    if not message.HasField(field):
        return None
    try:
        return span_of(getattr(message, field))
    except DurationFault as fault:
        faults.add(at or field, str(fault), example)
        return None


def is_whole(seconds: Decimal) -> bool:
    """Returns whether a number of seconds, of any number of digits, is a whole number of milliseconds."""
    numerator, denominator = seconds.as_integer_ratio()
    return numerator * 1000 % denominator == 0


def not_whole(seconds: Decimal) -> str:
    """Returns the fault of a length of time that is not in whole milliseconds."""
    digits = f"{seconds:f}"
    return f"is {digits[:50].rstrip('0') if '.' in digits else digits}s, it must be in whole milliseconds"
