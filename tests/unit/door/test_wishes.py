"""What a client of the WebSocket may say, and what it is told when it says something else."""

from __future__ import annotations

import pytest
from celeriac.monitor.v1 import tasks_pb2
from google.protobuf.duration_pb2 import Duration

from services.door.live.wishes import USUAL, Ping, wish_in
from services.kernel.errors import Invalid


def test_who_asks_for_nothing_gets_figures_and_collected_changes() -> None:
    wish = wish_in('{"subscribe": {}}')
    assert wish == USUAL
    assert USUAL.task_interval == USUAL.metrics_interval == Duration(seconds=1)


@pytest.mark.parametrize(
    "filters",
    [
        '{"states": ["FAILURE", "TASK_STATE_RETRY"], "queues": ["queues/ai"], "task_names": ["add"]}',
        '{"state": ["FAILURE", "RETRY"], "queue": "queues/ai", "task_name": "add"}',
    ],
)
def test_filters_have_the_names_of_the_contract_also_in_the_singular(filters: str) -> None:
    wish = wish_in(
        f'{{"subscribe": {{"metrics_interval": "2s", "task_interval": "0.5s", "tasks": {filters}}}}}'
    )
    assert not isinstance(wish, Ping)
    assert list(wish.states) == [tasks_pb2.TASK_STATE_FAILURE, tasks_pb2.TASK_STATE_RETRY]
    assert (list(wish.queues), list(wish.task_names)) == (["queues/ai"], ["add"])
    assert wish.metrics_interval == Duration(seconds=2)
    assert wish.task_interval == Duration(nanos=500_000_000)


def test_tasks_can_be_left_out() -> None:
    wish = wish_in('{"subscribe": {"tasks": false}}')
    assert not isinstance(wish, Ping)
    assert wish.without_tasks
    assert not wish.HasField("task_interval")


def test_a_ping_is_not_a_subscription() -> None:
    assert isinstance(wish_in('{"ping": true}'), Ping)


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("", "message"),
        ("hello", "message"),
        ("[]", "message"),
        ("{}", "message"),
        ('{"subscribe": {}, "ping": true}', "message"),
        ('{"subscribe": {"tasks": false, "tasks": {}}}', "message"),
        ('{"subscribe": null}', "message"),
        ('{"ping": 1.5}', "message"),
        ("[" * 100_000, "message"),
        ('{"subscribe": {"metric_interval": "1s"}}', "subscribe.metric_interval"),
        ('{"subscribe": {"metrics_interval": 1}}', "subscribe.metrics_interval"),
        ('{"subscribe": {"metrics_interval": null}}', "subscribe.metrics_interval"),
        ('{"subscribe": {"task_interval": "fast"}}', "subscribe.task_interval"),
        ('{"subscribe": {"tasks": []}}', "subscribe.tasks"),
        ('{"subscribe": {"cursor": 7}}', "subscribe.cursor"),
        ('{"subscribe": {"\\ud800": 1}}', "message"),
        ('{"subscribe": {"tasks": {"queues": ["queues/\\udc00"]}}}', "message"),
        ('{"subscribe": {"tasks": {"states": ["FAILED"]}}}', "subscribe.tasks.states"),
        ('{"subscribe": {"tasks": {"states": ["UNSPECIFIED"]}}}', "subscribe.tasks.states"),
        ('{"subscribe": {"tasks": {"queues": [1]}}}', "subscribe.tasks.queues"),
        ('{"subscribe": {"tasks": {"ended_only": "yes"}}}', "subscribe.tasks.ended_only"),
        ('{"subscribe": {"tasks": {"label": "a"}}}', "subscribe.tasks.label"),
    ],
)
def test_nonsense_is_told_with_its_field_and_an_example(text: str, field: str) -> None:
    with pytest.raises(Invalid) as refused:
        wish_in(text)
    (fault,) = refused.value.faults
    assert fault.field == field
    assert fault.example
