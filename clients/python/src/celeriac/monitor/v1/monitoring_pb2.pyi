from celeriac.access.v1 import policy_pb2 as _policy_pb2
from celeriac.monitor.v1 import alerts_pb2 as _alerts_pb2
from celeriac.monitor.v1 import queues_pb2 as _queues_pb2
from celeriac.monitor.v1 import snapshots_pb2 as _snapshots_pb2
from celeriac.monitor.v1 import system_pb2 as _system_pb2
from celeriac.monitor.v1 import tasks_pb2 as _tasks_pb2
from celeriac.monitor.v1 import workers_pb2 as _workers_pb2
from google.api import annotations_pb2 as _annotations_pb2
from google.api import client_pb2 as _client_pb2
from google.api import field_behavior_pb2 as _field_behavior_pb2
from google.api import resource_pb2 as _resource_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Metrics(_message.Message):
    __slots__ = ("time", "events_per_second", "succeeded_per_second", "failed_per_second", "active_tasks", "online_workers", "events_total", "events_lost", "event_lag", "queues", "tasks")
    TIME_FIELD_NUMBER: _ClassVar[int]
    EVENTS_PER_SECOND_FIELD_NUMBER: _ClassVar[int]
    SUCCEEDED_PER_SECOND_FIELD_NUMBER: _ClassVar[int]
    FAILED_PER_SECOND_FIELD_NUMBER: _ClassVar[int]
    ACTIVE_TASKS_FIELD_NUMBER: _ClassVar[int]
    ONLINE_WORKERS_FIELD_NUMBER: _ClassVar[int]
    EVENTS_TOTAL_FIELD_NUMBER: _ClassVar[int]
    EVENTS_LOST_FIELD_NUMBER: _ClassVar[int]
    EVENT_LAG_FIELD_NUMBER: _ClassVar[int]
    QUEUES_FIELD_NUMBER: _ClassVar[int]
    TASKS_FIELD_NUMBER: _ClassVar[int]
    time: _timestamp_pb2.Timestamp
    events_per_second: float
    succeeded_per_second: float
    failed_per_second: float
    active_tasks: int
    online_workers: int
    events_total: int
    events_lost: int
    event_lag: _duration_pb2.Duration
    queues: _containers.RepeatedCompositeFieldContainer[_queues_pb2.Queue]
    tasks: _containers.RepeatedCompositeFieldContainer[TaskMetrics]
    def __init__(self, time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., events_per_second: _Optional[float] = ..., succeeded_per_second: _Optional[float] = ..., failed_per_second: _Optional[float] = ..., active_tasks: _Optional[int] = ..., online_workers: _Optional[int] = ..., events_total: _Optional[int] = ..., events_lost: _Optional[int] = ..., event_lag: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., queues: _Optional[_Iterable[_Union[_queues_pb2.Queue, _Mapping]]] = ..., tasks: _Optional[_Iterable[_Union[TaskMetrics, _Mapping]]] = ...) -> None: ...

class TaskMetrics(_message.Message):
    __slots__ = ("task_name", "succeeded", "failed", "retried", "p50_runtime", "p99_runtime")
    TASK_NAME_FIELD_NUMBER: _ClassVar[int]
    SUCCEEDED_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    RETRIED_FIELD_NUMBER: _ClassVar[int]
    P50_RUNTIME_FIELD_NUMBER: _ClassVar[int]
    P99_RUNTIME_FIELD_NUMBER: _ClassVar[int]
    task_name: str
    succeeded: int
    failed: int
    retried: int
    p50_runtime: _duration_pb2.Duration
    p99_runtime: _duration_pb2.Duration
    def __init__(self, task_name: _Optional[str] = ..., succeeded: _Optional[int] = ..., failed: _Optional[int] = ..., retried: _Optional[int] = ..., p50_runtime: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., p99_runtime: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class GetRealtimeMetricsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetRealtimeMetricsResponse(_message.Message):
    __slots__ = ("metrics",)
    METRICS_FIELD_NUMBER: _ClassVar[int]
    metrics: Metrics
    def __init__(self, metrics: _Optional[_Union[Metrics, _Mapping]] = ...) -> None: ...

class WatchEventsRequest(_message.Message):
    __slots__ = ("cursor", "metrics_interval", "without_tasks", "states", "task_names", "queues", "workers", "ended_only", "task_interval")
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    METRICS_INTERVAL_FIELD_NUMBER: _ClassVar[int]
    WITHOUT_TASKS_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    TASK_NAMES_FIELD_NUMBER: _ClassVar[int]
    QUEUES_FIELD_NUMBER: _ClassVar[int]
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    ENDED_ONLY_FIELD_NUMBER: _ClassVar[int]
    TASK_INTERVAL_FIELD_NUMBER: _ClassVar[int]
    cursor: str
    metrics_interval: _duration_pb2.Duration
    without_tasks: bool
    states: _containers.RepeatedScalarFieldContainer[_tasks_pb2.TaskState]
    task_names: _containers.RepeatedScalarFieldContainer[str]
    queues: _containers.RepeatedScalarFieldContainer[str]
    workers: _containers.RepeatedScalarFieldContainer[str]
    ended_only: bool
    task_interval: _duration_pb2.Duration
    def __init__(self, cursor: _Optional[str] = ..., metrics_interval: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., without_tasks: bool = ..., states: _Optional[_Iterable[_Union[_tasks_pb2.TaskState, str]]] = ..., task_names: _Optional[_Iterable[str]] = ..., queues: _Optional[_Iterable[str]] = ..., workers: _Optional[_Iterable[str]] = ..., ended_only: bool = ..., task_interval: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class TaskChanges(_message.Message):
    __slots__ = ("tasks",)
    TASKS_FIELD_NUMBER: _ClassVar[int]
    tasks: _containers.RepeatedCompositeFieldContainer[_tasks_pb2.Task]
    def __init__(self, tasks: _Optional[_Iterable[_Union[_tasks_pb2.Task, _Mapping]]] = ...) -> None: ...

class WatchEventsResponse(_message.Message):
    __slots__ = ("metrics", "task", "worker", "tasks", "alert", "cursor", "left_out_count")
    METRICS_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    WORKER_FIELD_NUMBER: _ClassVar[int]
    TASKS_FIELD_NUMBER: _ClassVar[int]
    ALERT_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    LEFT_OUT_COUNT_FIELD_NUMBER: _ClassVar[int]
    metrics: Metrics
    task: _tasks_pb2.Task
    worker: _workers_pb2.Worker
    tasks: TaskChanges
    alert: _alerts_pb2.Alert
    cursor: str
    left_out_count: int
    def __init__(self, metrics: _Optional[_Union[Metrics, _Mapping]] = ..., task: _Optional[_Union[_tasks_pb2.Task, _Mapping]] = ..., worker: _Optional[_Union[_workers_pb2.Worker, _Mapping]] = ..., tasks: _Optional[_Union[TaskChanges, _Mapping]] = ..., alert: _Optional[_Union[_alerts_pb2.Alert, _Mapping]] = ..., cursor: _Optional[str] = ..., left_out_count: _Optional[int] = ...) -> None: ...

class NextRun(_message.Message):
    __slots__ = ("schedule", "task_name", "next_run_time")
    SCHEDULE_FIELD_NUMBER: _ClassVar[int]
    TASK_NAME_FIELD_NUMBER: _ClassVar[int]
    NEXT_RUN_TIME_FIELD_NUMBER: _ClassVar[int]
    schedule: str
    task_name: str
    next_run_time: _timestamp_pb2.Timestamp
    def __init__(self, schedule: _Optional[str] = ..., task_name: _Optional[str] = ..., next_run_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class GetDashboardRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetDashboardResponse(_message.Message):
    __slots__ = ("time", "health", "components", "metrics", "host", "workers", "worker_count", "recent_failures", "next_runs", "open_gaps", "firing_alerts", "firing_alert_count", "missing_parts")
    TIME_FIELD_NUMBER: _ClassVar[int]
    HEALTH_FIELD_NUMBER: _ClassVar[int]
    COMPONENTS_FIELD_NUMBER: _ClassVar[int]
    METRICS_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    WORKER_COUNT_FIELD_NUMBER: _ClassVar[int]
    RECENT_FAILURES_FIELD_NUMBER: _ClassVar[int]
    NEXT_RUNS_FIELD_NUMBER: _ClassVar[int]
    OPEN_GAPS_FIELD_NUMBER: _ClassVar[int]
    FIRING_ALERTS_FIELD_NUMBER: _ClassVar[int]
    FIRING_ALERT_COUNT_FIELD_NUMBER: _ClassVar[int]
    MISSING_PARTS_FIELD_NUMBER: _ClassVar[int]
    time: _timestamp_pb2.Timestamp
    health: _system_pb2.Health
    components: _containers.RepeatedCompositeFieldContainer[_system_pb2.Component]
    metrics: Metrics
    host: _system_pb2.HostMetrics
    workers: _containers.RepeatedCompositeFieldContainer[_workers_pb2.Worker]
    worker_count: int
    recent_failures: _containers.RepeatedCompositeFieldContainer[_tasks_pb2.Task]
    next_runs: _containers.RepeatedCompositeFieldContainer[NextRun]
    open_gaps: _containers.RepeatedCompositeFieldContainer[_system_pb2.EventGap]
    firing_alerts: _containers.RepeatedCompositeFieldContainer[_alerts_pb2.Alert]
    firing_alert_count: int
    missing_parts: _containers.RepeatedCompositeFieldContainer[_system_pb2.MissingPart]
    def __init__(self, time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., health: _Optional[_Union[_system_pb2.Health, str]] = ..., components: _Optional[_Iterable[_Union[_system_pb2.Component, _Mapping]]] = ..., metrics: _Optional[_Union[Metrics, _Mapping]] = ..., host: _Optional[_Union[_system_pb2.HostMetrics, _Mapping]] = ..., workers: _Optional[_Iterable[_Union[_workers_pb2.Worker, _Mapping]]] = ..., worker_count: _Optional[int] = ..., recent_failures: _Optional[_Iterable[_Union[_tasks_pb2.Task, _Mapping]]] = ..., next_runs: _Optional[_Iterable[_Union[NextRun, _Mapping]]] = ..., open_gaps: _Optional[_Iterable[_Union[_system_pb2.EventGap, _Mapping]]] = ..., firing_alerts: _Optional[_Iterable[_Union[_alerts_pb2.Alert, _Mapping]]] = ..., firing_alert_count: _Optional[int] = ..., missing_parts: _Optional[_Iterable[_Union[_system_pb2.MissingPart, _Mapping]]] = ...) -> None: ...

class Collection(_message.Message):
    __slots__ = ("running", "stop_time", "stopped_by")
    RUNNING_FIELD_NUMBER: _ClassVar[int]
    STOP_TIME_FIELD_NUMBER: _ClassVar[int]
    STOPPED_BY_FIELD_NUMBER: _ClassVar[int]
    running: bool
    stop_time: _timestamp_pb2.Timestamp
    stopped_by: str
    def __init__(self, running: bool = ..., stop_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., stopped_by: _Optional[str] = ...) -> None: ...

class StartRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class StartResponse(_message.Message):
    __slots__ = ("collection",)
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    collection: Collection
    def __init__(self, collection: _Optional[_Union[Collection, _Mapping]] = ...) -> None: ...

class StopRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class StopResponse(_message.Message):
    __slots__ = ("collection",)
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    collection: Collection
    def __init__(self, collection: _Optional[_Union[Collection, _Mapping]] = ...) -> None: ...
