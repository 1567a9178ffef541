"""Places in the log of changes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kernel.errors import Invalid
from services.kernel.pages import encode_page_token
from services.kernel.snapshots import Snapshot
from services.scheduler.watch.cursor import Cursor, Head, Place, decode_cursor

ORIGIN = "7711790545544742538/00000001"
snapshots = st.builds(
    lambda xmax, back: Snapshot(xmax, tuple(sorted({xmax - each for each in back if each < xmax}))),
    st.integers(1, 2**62),
    st.sets(st.integers(1, 1000), max_size=8),
)
places = st.builds(Place, st.integers(0, 2**62), st.integers(0, 2**62), st.integers(0, 500))


@given(snapshots)
def test_a_snapshot_is_read_as_postgresql_writes_it(snapshot: Snapshot) -> None:
    assert Snapshot.parse(str(snapshot)) == snapshot


def test_a_snapshot_sees_what_had_ended() -> None:
    snapshot = Snapshot.parse("10:20:10,14")
    assert [txid for txid in range(8, 23) if not snapshot.sees(txid)] == [10, 14, 20, 21, 22]
    assert Snapshot.parse("20:20:") == Snapshot(20)


@pytest.mark.parametrize(
    "text",
    ["", "20", "20:10:", "0:10:", "10:20:9", "10:20:20", "10:20:14,10", "10:20:10,10", "10:20:x", "1:2:3:4"],
)
def test_what_is_no_snapshot_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no snapshot"):
        Snapshot.parse(text)


@given(snapshots, snapshots, places)
def test_a_cursor_comes_back_as_it_was_sent(seen: Snapshot, until: Snapshot, place: Place) -> None:
    for cursor in (Cursor(ORIGIN, seen), Cursor(ORIGIN, seen, until, place)):
        assert decode_cursor(cursor.encode()) == cursor
    assert decode_cursor("") is None


@pytest.mark.parametrize(
    "position",
    [
        {},
        {"origin": 1, "seen": "20:20:"},
        {"origin": "a", "seen": 20},
        {"origin": "a", "seen": "20:20:", "until": "30:30:"},
        {"origin": "a", "seen": "20:20:", "until": "30:30:", "place": [1, 2]},
        {"origin": "a", "seen": "20:20:", "until": "30:30:", "place": [1, 2, -3]},
        {"origin": "a", "seen": "20:20:", "until": "30:30:", "place": 5},
    ],
)
def test_what_is_no_cursor_is_refused_by_its_field(position: dict[str, object]) -> None:
    with pytest.raises(Invalid) as refused:
        decode_cursor(encode_page_token(position))
    assert [fault.field for fault in refused.value.faults] == ["cursor"]


@pytest.mark.parametrize(
    ("cursor", "whole"),
    [
        # Nothing beyond 50 was trimmed; now 100 is next, and 45 is still under way.
        (Cursor(ORIGIN, Snapshot(51)), True),
        (Cursor(ORIGIN, Snapshot(50)), False),
        (Cursor(ORIGIN, Snapshot(60, (45,))), True),
        (Cursor(ORIGIN, Snapshot(60, (46,))), False),
        (Cursor(ORIGIN, Snapshot(60, (55,))), True),
        (Cursor(ORIGIN, Snapshot(101)), False),
        (Cursor("another/00000001", Snapshot(60)), False),
        # It has told what was trimmed.
        (Cursor(ORIGIN, Snapshot(30), Snapshot(60), Place(51, 9)), True),
        (Cursor(ORIGIN, Snapshot(30), Snapshot(60), Place(50, 9)), False),
        (Cursor(ORIGIN, Snapshot(30), Snapshot(60, (46,)), Place(55, 9)), False),
        (Cursor(ORIGIN, Snapshot(30), Snapshot(101), Place(55, 9)), False),
    ],
)
def test_a_cursor_is_refused_exactly_when_something_after_it_may_be_gone(cursor: Cursor, whole: bool) -> None:
    assert Head(ORIGIN, Snapshot(100, (45,)), trimmed=50).has_all_after(cursor) is whole
