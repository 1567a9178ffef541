"""What looks is the viewer's, but for what stands in arguments and results."""

from __future__ import annotations

import time

import grpc
import pytest
from celeriac.monitor.v1 import monitoring_pb2, monitoring_pb2_grpc, tasks_pb2, tasks_pb2_grpc

from deploy.standalone.tokens import LocalIssuer
from tests.support.calls import Caller, eventually, refused
from tests.support.event_streams import publish_events
from tests.support.events import Life
from tests.support.monitors import Monitor
from tests.support.servers import Valkey


@pytest.fixture
def viewer(monitor: Monitor, tokens: LocalIssuer) -> Caller:
    return Caller(tasks_pb2_grpc.TaskServiceStub(monitor.channel), tokens.mint("viewer"))


def test_a_viewer_finds_a_text_in_exceptions_and_not_in_what_it_may_not_read(
    monitor: Monitor, broker: Valkey, viewer: Caller
) -> None:
    """Else it could find out, letter by letter, what stands there."""
    result, exception = Life(time.time()), Life(time.time())
    publish_events(broker, result.succeeded("'needle-in-result'"), exception.failed("KeyError('needle')"))
    names = [f"tasks/{result.id}", f"tasks/{exception.id}"]

    def found_by(caller: Caller, text: str) -> set[str]:
        return {task.name for task in caller.ListTasks(tasks_pb2.ListTasksRequest(text=text)).tasks}

    eventually(lambda: found_by(monitor.tasks, "NEEDLE") == set(names))
    assert found_by(viewer, "NEEDLE") == {names[1]}
    assert found_by(monitor.tasks, "in-result") == {names[0]}
    assert found_by(viewer, "in-result") == set()


def test_a_viewer_sees_the_figures_and_may_not_revoke(
    monitor: Monitor, tokens: LocalIssuer, viewer: Caller
) -> None:
    monitoring = Caller(monitoring_pb2_grpc.MonitoringServiceStub(monitor.channel), tokens.mint("viewer"))
    assert monitoring.GetRealtimeMetrics(monitoring_pb2.GetRealtimeMetricsRequest()).HasField("metrics")
    code, _ = refused(viewer.RevokeTask, tasks_pb2.RevokeTaskRequest(name="tasks/a"))
    assert code is grpc.StatusCode.PERMISSION_DENIED
