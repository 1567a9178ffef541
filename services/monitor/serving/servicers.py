"""The servicers of the monitor's gRPC services."""

from __future__ import annotations

from collections.abc import Sequence

from celeriac.monitor.v1 import (
    alerts_pb2_grpc,
    monitoring_pb2_grpc,
    queues_pb2_grpc,
    system_pb2_grpc,
    tasks_pb2_grpc,
    workers_pb2_grpc,
)
from celeriac.operations.v1 import operations_pb2_grpc

from services.kernel.grpc.server import Servicer
from services.monitor.api.alerts import AlertApi
from services.monitor.api.dashboard import DashboardApi
from services.monitor.api.halts import Halts
from services.monitor.api.measured import Measured
from services.monitor.api.operations import OperationApi
from services.monitor.api.system import SystemApi
from services.monitor.api.tasks import TaskApi
from services.monitor.api.workers import WorkerApi
from services.monitor.sending.sending import Sending
from services.monitor.serving.alerting import Alerting
from services.monitor.serving.ground import Ground
from services.monitor.serving.hearing import Hearing
from services.monitor.serving.mending import Mending
from services.monitor.serving.showing import Showing
from services.monitor.serving.steering import Steering
from services.monitor.snapshots.charts import Charts
from services.monitor.snapshots.listing import SnapshotList
from services.monitor.system.readiness import Readiness
from services.monitor.tasks.task_results import TaskResults
from services.monitor.workers.inspecting import Inspector


def servicers_on(
    ground: Ground,
    hearing: Hearing,
    steering: Steering,
    sending: Sending,
    mending: Mending,
    showing: Showing,
    alerting: Alerting,
) -> Sequence[Servicer]:
    monitoring = DashboardApi(
        showing.pulse,
        hearing.hub,
        ground.workers,
        showing.components,
        showing.front_page,
        mending.collecting,
        Measured(Charts(ground.database), SnapshotList(ground.database)),
        alerting.board,
        ground.pace,
    )
    operations = OperationApi(ground.sessions, showing.watching, ground.pace)
    system, tasks = _system(ground, steering, showing), _tasks(ground, steering, sending)
    inspector = Inspector(steering.control, ground.workers.shared, ground.settings.redaction)
    workers = WorkerApi(ground.workers, mending.deletions, inspector, steering.acts)
    alerts = AlertApi(alerting.rules, alerting.alerts)
    return [
        Servicer.generated(alerts_pb2_grpc.add_AlertServiceServicer_to_server, alerts),
        Servicer.generated(monitoring_pb2_grpc.add_MonitoringServiceServicer_to_server, monitoring),
        Servicer.generated(operations_pb2_grpc.add_OperationServiceServicer_to_server, operations),
        Servicer.generated(queues_pb2_grpc.add_QueueServiceServicer_to_server, showing.queues.servicer),
        Servicer.generated(system_pb2_grpc.add_SystemServiceServicer_to_server, system),
        Servicer.generated(tasks_pb2_grpc.add_TaskServiceServicer_to_server, tasks),
        Servicer.generated(workers_pb2_grpc.add_WorkerServiceServicer_to_server, workers),
    ]


def _system(ground: Ground, steering: Steering, showing: Showing) -> SystemApi:
    return SystemApi(
        showing.components,
        Readiness(showing.components, ground.settings.ready_file),
        ground.settings.time_zone,
        ground.database,
        showing.front_page,
        Halts(steering.halting, steering.working, ground.sessions),
    )


def _tasks(ground: Ground, steering: Steering, sending: Sending) -> TaskApi:
    settings = ground.settings
    return TaskApi(
        ground.sessions,
        ground.lists,
        steering.revoked,
        ground.workers,
        sending,
        TaskResults(ground.results.client, settings.result_key_prefix, settings.redaction),
        ground.results.metas,
        settings.readers_of_arguments,
        settings.log_link,
    )
