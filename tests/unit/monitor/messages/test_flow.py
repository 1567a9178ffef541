"""How fast messages come into a queue and leave it, from looks at its length and what workers received."""

from __future__ import annotations

from services.monitor.messages.flow import WINDOW_SECONDS, Flow, Flows
from services.monitor.queues import Queue


def looked(flows: Flows, length: int, now: float) -> Flow | None:
    return flows.look([Queue("mail", ((0, length),))], now).get("mail")


def test_a_first_look_tells_nothing_and_the_next_one_the_rates_between_them() -> None:
    received = {"mail": 1000}
    flows = Flows(lambda: dict(received))
    assert looked(flows, 100, 0.0) is None
    received["mail"] += 50
    assert looked(flows, 80, 10.0) == Flow(arrivals=3.0, deliveries=5.0, time_to_empty=40.0)


def test_a_queue_that_grows_is_never_empty() -> None:
    flows = Flows(dict)
    looked(flows, 100, 0.0)
    assert looked(flows, 150, 10.0) == Flow(arrivals=5.0, deliveries=0.0, time_to_empty=None)


def test_what_left_and_was_not_told_by_events_is_no_arrival() -> None:
    flows = Flows(dict)
    looked(flows, 100, 0.0)
    assert looked(flows, 50, 10.0) == Flow(arrivals=0.0, deliveries=0.0, time_to_empty=10.0)


def test_looks_of_more_than_a_minute_ago_count_no_more() -> None:
    flows = Flows(dict)
    looked(flows, 0, 0.0)
    looked(flows, 600, 50.0)
    flow = looked(flows, 600, WINDOW_SECONDS + 10.0)
    assert flow is not None and flow.arrivals == 0.0
    assert looked(flows, 600, 1000.0) is None


def test_a_queue_that_a_look_at_some_has_left_out_has_no_flow_yet() -> None:
    """As of the longest queues, or while the broker was away: what waits did not come all at once."""
    flows = Flows(dict)
    flows.look([], 0.0, of_all=False)
    assert looked(flows, 100, 10.0) is None
    assert looked(flows, 100, WINDOW_SECONDS + 5.0) == Flow(arrivals=0.0, deliveries=0.0, time_to_empty=None)
