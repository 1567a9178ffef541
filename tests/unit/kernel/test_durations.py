"""Lengths of time that callers send: whole milliseconds, or a fault that names the field."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest
from celeriac.scheduler.v1 import schedules_pb2 as pb
from google.protobuf.duration_pb2 import Duration
from hypothesis import given
from hypothesis import strategies as st

from services.kernel.durations import MOST_SECONDS, is_whole, span_in
from services.kernel.validation import Faults

MOST_MILLISECONDS = MOST_SECONDS * 1000
MILLISECONDS = st.integers(-MOST_MILLISECONDS, MOST_MILLISECONDS)


def read(length: Duration) -> tuple[dt.timedelta | None, list[str]]:
    """What is read of a field, and the texts of its faults."""
    faults = Faults()
    found = span_in(pb.Interval(every=length), "every", faults, at="timing.interval.every")
    return found, list(map(str, faults))


@given(MILLISECONDS)
def test_whole_milliseconds_are_read_as_they_were_sent(milliseconds: int) -> None:
    length = Duration()
    length.FromMilliseconds(milliseconds)
    assert read(length) == (dt.timedelta(milliseconds=milliseconds), [])


@pytest.mark.parametrize(
    ("length", "fault"),
    [
        (Duration(nanos=1), "is 0.000000001s, it must be in whole milliseconds"),
        (Duration(nanos=-1), "is -0.000000001s, it must be in whole milliseconds"),
        (Duration(seconds=5, nanos=1_500_000), "is 5.0015s, it must be in whole milliseconds"),
        (
            Duration(seconds=MOST_SECONDS, nanos=1),
            "is 315576000000.000000001s, it must be in whole milliseconds",
        ),
        (
            Duration(seconds=1, nanos=1_000_000_000),
            "is malformed: it has 1000000000 nanos, they must be -999999999 to 999999999",
        ),
        (
            Duration(nanos=-(2**31)),
            "is malformed: it has -2147483648 nanos, they must be -999999999 to 999999999",
        ),
        (
            Duration(seconds=1, nanos=-1_000_000),
            "is malformed: its 1 seconds and -1000000 nanos differ in sign",
        ),
        (
            Duration(seconds=-1, nanos=1_000_000),
            "is malformed: its -1 seconds and 1000000 nanos differ in sign",
        ),
        (
            Duration(seconds=MOST_SECONDS + 1),
            "is malformed: it has 315576000001 seconds, more than 10,000 years",
        ),
        (
            Duration(seconds=-(2**63)),
            "is malformed: it has -9223372036854775808 seconds, more than 10,000 years",
        ),
    ],
    ids=str,
)
def test_any_other_length_is_refused_with_field_fault_and_example(length: Duration, fault: str) -> None:
    assert read(length) == (None, [f"timing.interval.every {fault}; for example: 0.5s"])


def test_a_field_that_is_not_set_is_no_fault() -> None:
    faults = Faults()
    assert span_in(pb.Interval(), "every", faults) is None
    assert not faults


@given(MILLISECONDS, st.integers(4, 60))
def test_no_digit_is_too_far_behind_to_be_seen(milliseconds: int, digits: int) -> None:
    """A manifest may have lengths of any number of digits."""
    whole = Decimal(milliseconds).scaleb(-3)
    text = f"{whole:f}" + "0" * (digits - 4) + "1"
    assert is_whole(whole)
    assert not is_whole(Decimal(text))
