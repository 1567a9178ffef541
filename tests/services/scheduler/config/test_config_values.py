"""What each key is and may be: listed, set, reset, and refused."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from celeriac.scheduler.v1 import config_pb2 as pb
from celeriac.scheduler.v1 import config_pb2_grpc

from deploy.standalone.tokens import LocalIssuer
from tests.support.calls import Caller, all_listed, fields_at_fault, refused
from tests.support.configurations import ALERTS, CHUNKS, TASKS, WAITING, get, put, revision, span
from tests.support.processes import ServiceProcess

Code = grpc.StatusCode
DAY = 86_400


def length(seconds: int, nanos: int) -> pb.ConfigValue:
    return pb.ConfigValue(duration_value={"seconds": seconds, "nanos": nanos})


def test_every_key_is_listed_with_its_declaration(config: Any) -> None:
    listed = {one.name: one for one in config.ListConfigs(pb.ListConfigsRequest()).configs}
    assert {"configs/logging.level", "configs/scheduler.runs.retention", TASKS, WAITING, CHUNKS} <= set(
        listed
    )
    assert list(listed) == sorted(listed)
    tasks = listed[TASKS]
    assert (tasks.type, tasks.used_by) == (pb.CONFIG_TYPE_DURATION, ["monitor"])
    assert tasks.default_value == span(30 * DAY)
    assert (tasks.minimum, tasks.maximum) == (span(3600), span(3650 * DAY))
    assert tasks.description
    level = listed["configs/logging.level"]
    assert level.type == pb.CONFIG_TYPE_ENUM
    assert "DEBUG" in level.choices


def test_lists_are_filtered_and_paged(config: Any) -> None:
    request = pb.ListConfigsRequest(prefixes=["embedder.", "monitor."], page_size=1)
    found = all_listed(config.ListConfigs, request, "configs")
    assert [one.name for one in found] == [WAITING, CHUNKS, ALERTS, TASKS]
    for prefixes, field in ((["monitor."] * 101, "prefixes"), (["a", "mo\u00a0"], "prefixes[1]")):
        wrong = pb.ListConfigsRequest(prefixes=prefixes)
        assert fields_at_fault(config.ListConfigs, wrong) == [field]


def test_what_is_set_is_in_force_until_it_is_reset(config: Any) -> None:
    before = get(config, TASKS)
    assert before.value == before.default_value
    changed = put(config, TASKS, span(7 * DAY), comment="disk is small")
    assert (changed.value, changed.is_set, changed.updated_by) == (span(7 * DAY), True, "mei")
    assert changed.revision > before.revision
    assert changed.HasField("update_time")
    assert get(config, TASKS) == changed
    reset = config.ResetConfig(pb.ResetConfigRequest(name=TASKS)).config
    assert (reset.value, reset.is_set) == (before.default_value, False)
    assert config.ResetConfig(pb.ResetConfigRequest(name=TASKS)).config == reset


def test_a_check_changes_nothing(config: Any) -> None:
    before = get(config, WAITING)
    proposed = put(config, WAITING, pb.ConfigValue(int_value=2048), validate_only=True)
    assert (proposed.value.int_value, proposed.is_set, proposed.revision) == (2048, True, before.revision)
    assert get(config, WAITING) == before
    request = pb.SetConfigRequest(name=WAITING, value={"int_value": 1}, validate_only=True)
    assert fields_at_fault(config.SetConfig, request) == ["value.int_value"]


@pytest.mark.parametrize(
    ("request_message", "field"),
    [
        (pb.SetConfigRequest(name=TASKS, value=span(60)), "value.duration_value"),
        (pb.SetConfigRequest(name=TASKS, value=span(315_576_000_000)), "value.duration_value"),
        (pb.SetConfigRequest(name=TASKS, value=length(7200, 1)), "value.duration_value"),
        (pb.SetConfigRequest(name=TASKS, value=length(7200, -1_000_000)), "value.duration_value"),
        (pb.SetConfigRequest(name=TASKS, value=length(7200, 1_000_000_000)), "value.duration_value"),
        (pb.SetConfigRequest(name=TASKS, value=length(2**62, 0)), "value.duration_value"),
        (pb.SetConfigRequest(name=TASKS, value={"int_value": 7}), "value"),
        (pb.SetConfigRequest(name=TASKS), "value"),
        (pb.SetConfigRequest(name=CHUNKS, value={"int_value": 2**62}), "value.int_value"),
        (pb.SetConfigRequest(name=CHUNKS, value={"bool_value": True}), "value"),
        (
            pb.SetConfigRequest(name="configs/logging.level", value={"string_value": "LOUD"}),
            "value.string_value",
        ),
        (
            pb.SetConfigRequest(name="configs/secrets.a", value={"string_value": "x" * 9000}),
            "value.string_value",
        ),
        (pb.SetConfigRequest(name="configs/secrets.a", value={"string_value": "a\0b"}), "value.string_value"),
        (pb.SetConfigRequest(name="configs/"), "name"),
        (pb.SetConfigRequest(name="schedules/a", value={"int_value": 1}), "name"),
        (pb.SetConfigRequest(name="config/monitor.tasks.retention", value=span(7200)), "name"),
        (pb.SetConfigRequest(name=f"{TASKS}\u200b", value=span(7200)), "name"),
        (pb.SetConfigRequest(name=CHUNKS, value={"int_value": 5000}, comment="x" * 2000), "comment"),
        (pb.SetConfigRequest(name=CHUNKS, value={"int_value": 5000}, request_id="\0"), "request_id"),
        (pb.SetConfigRequest(name=CHUNKS, value={"int_value": 5000}, request_id="a\u00a0b"), "request_id"),
    ],
)
def test_a_value_that_can_not_be_is_refused_by_field(
    config: Any, request_message: pb.SetConfigRequest, field: str
) -> None:
    assert fields_at_fault(config.SetConfig, request_message) == [field]


@pytest.mark.parametrize("name", ["configs/monitor.tasks", "configs/a b"])
def test_a_key_that_nobody_declared_is_not_found(config: Any, name: str) -> None:
    for call, request in (
        (config.GetConfig, pb.GetConfigRequest(name=name)),
        (config.SetConfig, pb.SetConfigRequest(name=name, value={"int_value": 1})),
        (config.ResetConfig, pb.ResetConfigRequest(name=name)),
        (config.RollbackConfig, pb.RollbackConfigRequest(name=name, revision=revision(name, 1))),
        (config.ListConfigRevisions, pb.ListConfigRevisionsRequest(parent=name)),
    ):
        code, message = refused(call, request)
        assert code is Code.NOT_FOUND
        assert name in message


def test_a_viewer_sees_nothing_of_it(service: ServiceProcess, tokens: LocalIssuer) -> None:
    with service.channel() as channel:
        viewer = Caller(config_pb2_grpc.ConfigServiceStub(channel), tokens.mint("viewer"))
        code, _ = refused(viewer.ListConfigs, pb.ListConfigsRequest())
    assert code is Code.PERMISSION_DENIED
