"""What a busy machine was too slow for is missing in the table, and named; a fault ends the benchmark."""

from __future__ import annotations

import pytest

from benchmarks.parts import Parts
from benchmarks.scheduler.peers.beat import FullMinute
from benchmarks.scheduler.results import Results


def test_what_was_too_slow_is_named_and_the_rest_goes_on() -> None:
    parts, measured = Parts((TimeoutError,)), []
    for number in range(3):
        with parts.part(f"part {number}"):
            if number == 1:
                raise TimeoutError("7 of 10 in 120 s")
            measured.append(number)
    assert measured == [0, 2]
    assert parts.missing == ["missing: part 1: 7 of 10 in 120 s"]


def test_a_fault_ends_it() -> None:
    parts = Parts((TimeoutError,))
    with pytest.raises(AssertionError, match="101 messages"), parts.part("drain"):
        raise AssertionError("101 messages, 100 ids")
    assert not parts.missing


def test_nothing_measured_is_a_table_without_rows() -> None:
    results = Results(drained=100_000, at_minute=1_000_000, window_seconds=30.0)
    assert results.measures() == []
    assert list(results.remarks()) == []


def test_ours_and_the_peers_are_compared_at_equal_size() -> None:
    results = Results(drained=100_000, at_minute=1_000_000, window_seconds=30.0)
    results.queued = {100: [0.05, 0.1, 0.2], 1000: [0.5]}
    results.peers_queued = {
        ("celery beat", 100): FullMinute([0.001 * (number + 1) for number in range(100)], 100, 60.0),
        ("redbeat", 1000): FullMinute([1.0] * 600 + [30.0] * 400, 600, 60.0),
        ("silent", 1000): FullMinute([30.0] * 1000, 0, 60.0),
    }
    rows = {measure.name: measure for measure in results.measures()}
    assert (rows["100 due, celery beat"].value, rows["100 due, celery beat"].peer) == (1000, 1000)
    assert rows["100 due, celery beat"].ratio == 1
    assert not rows["100 due, celery beat"].met
    # What did not come within the window counts as that late.
    assert (rows["1,000 due, redbeat"].value, rows["1,000 due, redbeat"].peer) == (2000, 20)
    assert rows["1,000 due, redbeat"].met
    assert (rows["1,000 due, silent"].peer, rows["1,000 due, silent"].ratio) == (0, None)
    assert any("all due: redbeat with 1,000 entries sent 600 of 1000" in line for line in results.remarks())
