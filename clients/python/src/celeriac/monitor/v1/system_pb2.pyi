from celeriac.access.v1 import policy_pb2 as _policy_pb2
from celeriac.monitor.v1 import queues_pb2 as _queues_pb2
from celeriac.monitor.v1 import tasks_pb2 as _tasks_pb2
from celeriac.operations.v1 import operations_pb2 as _operations_pb2
from google.api import annotations_pb2 as _annotations_pb2
from google.api import client_pb2 as _client_pb2
from google.api import field_behavior_pb2 as _field_behavior_pb2
from google.api import resource_pb2 as _resource_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class EventGapCause(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EVENT_GAP_CAUSE_UNSPECIFIED: _ClassVar[EventGapCause]
    EVENT_GAP_CAUSE_RELAY_CUT: _ClassVar[EventGapCause]
    EVENT_GAP_CAUSE_SUBSCRIPTION_CUT: _ClassVar[EventGapCause]
    EVENT_GAP_CAUSE_STREAM_FULL: _ClassVar[EventGapCause]
    EVENT_GAP_CAUSE_STREAM_LOST: _ClassVar[EventGapCause]
    EVENT_GAP_CAUSE_MONITOR_STOPPED: _ClassVar[EventGapCause]
    EVENT_GAP_CAUSE_WORKER_COUNT: _ClassVar[EventGapCause]
    EVENT_GAP_CAUSE_COLLECTION_STOPPED: _ClassVar[EventGapCause]

class EventGapState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EVENT_GAP_STATE_UNSPECIFIED: _ClassVar[EventGapState]
    EVENT_GAP_STATE_OPEN: _ClassVar[EventGapState]
    EVENT_GAP_STATE_REPAIRED: _ClassVar[EventGapState]

class Health(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    HEALTH_UNSPECIFIED: _ClassVar[Health]
    HEALTH_HEALTHY: _ClassVar[Health]
    HEALTH_DEGRADED: _ClassVar[Health]
    HEALTH_UNHEALTHY: _ClassVar[Health]
EVENT_GAP_CAUSE_UNSPECIFIED: EventGapCause
EVENT_GAP_CAUSE_RELAY_CUT: EventGapCause
EVENT_GAP_CAUSE_SUBSCRIPTION_CUT: EventGapCause
EVENT_GAP_CAUSE_STREAM_FULL: EventGapCause
EVENT_GAP_CAUSE_STREAM_LOST: EventGapCause
EVENT_GAP_CAUSE_MONITOR_STOPPED: EventGapCause
EVENT_GAP_CAUSE_WORKER_COUNT: EventGapCause
EVENT_GAP_CAUSE_COLLECTION_STOPPED: EventGapCause
EVENT_GAP_STATE_UNSPECIFIED: EventGapState
EVENT_GAP_STATE_OPEN: EventGapState
EVENT_GAP_STATE_REPAIRED: EventGapState
HEALTH_UNSPECIFIED: Health
HEALTH_HEALTHY: Health
HEALTH_DEGRADED: Health
HEALTH_UNHEALTHY: Health

class EventGap(_message.Message):
    __slots__ = ("name", "cause", "state", "start_time", "end_time", "missed_count", "repaired_from_results_count", "repaired_from_workers_count", "not_repairable_count", "undecided_count", "note", "results_read", "create_time", "repair_time")
    NAME_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    MISSED_COUNT_FIELD_NUMBER: _ClassVar[int]
    REPAIRED_FROM_RESULTS_COUNT_FIELD_NUMBER: _ClassVar[int]
    REPAIRED_FROM_WORKERS_COUNT_FIELD_NUMBER: _ClassVar[int]
    NOT_REPAIRABLE_COUNT_FIELD_NUMBER: _ClassVar[int]
    UNDECIDED_COUNT_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    RESULTS_READ_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    REPAIR_TIME_FIELD_NUMBER: _ClassVar[int]
    name: str
    cause: EventGapCause
    state: EventGapState
    start_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    missed_count: int
    repaired_from_results_count: int
    repaired_from_workers_count: int
    not_repairable_count: int
    undecided_count: int
    note: str
    results_read: bool
    create_time: _timestamp_pb2.Timestamp
    repair_time: _timestamp_pb2.Timestamp
    def __init__(self, name: _Optional[str] = ..., cause: _Optional[_Union[EventGapCause, str]] = ..., state: _Optional[_Union[EventGapState, str]] = ..., start_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., missed_count: _Optional[int] = ..., repaired_from_results_count: _Optional[int] = ..., repaired_from_workers_count: _Optional[int] = ..., not_repairable_count: _Optional[int] = ..., undecided_count: _Optional[int] = ..., note: _Optional[str] = ..., results_read: bool = ..., create_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., repair_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ListEventGapsRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "states")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    states: _containers.RepeatedScalarFieldContainer[EventGapState]
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., states: _Optional[_Iterable[_Union[EventGapState, str]]] = ...) -> None: ...

class ListEventGapsResponse(_message.Message):
    __slots__ = ("gaps", "next_page_token")
    GAPS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    gaps: _containers.RepeatedCompositeFieldContainer[EventGap]
    next_page_token: str
    def __init__(self, gaps: _Optional[_Iterable[_Union[EventGap, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class Component(_message.Message):
    __slots__ = ("component", "health", "detail", "latency", "check_time")
    COMPONENT_FIELD_NUMBER: _ClassVar[int]
    HEALTH_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    LATENCY_FIELD_NUMBER: _ClassVar[int]
    CHECK_TIME_FIELD_NUMBER: _ClassVar[int]
    component: str
    health: Health
    detail: str
    latency: _duration_pb2.Duration
    check_time: _timestamp_pb2.Timestamp
    def __init__(self, component: _Optional[str] = ..., health: _Optional[_Union[Health, str]] = ..., detail: _Optional[str] = ..., latency: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., check_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class GetStatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetStatusResponse(_message.Message):
    __slots__ = ("health", "components", "version", "uptime")
    HEALTH_FIELD_NUMBER: _ClassVar[int]
    COMPONENTS_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    UPTIME_FIELD_NUMBER: _ClassVar[int]
    health: Health
    components: _containers.RepeatedCompositeFieldContainer[Component]
    version: str
    uptime: _duration_pb2.Duration
    def __init__(self, health: _Optional[_Union[Health, str]] = ..., components: _Optional[_Iterable[_Union[Component, _Mapping]]] = ..., version: _Optional[str] = ..., uptime: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class GetInfoRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetInfoResponse(_message.Message):
    __slots__ = ("product", "version", "time_zone", "time")
    PRODUCT_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    TIME_ZONE_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    product: str
    version: str
    time_zone: str
    time: _timestamp_pb2.Timestamp
    def __init__(self, product: _Optional[str] = ..., version: _Optional[str] = ..., time_zone: _Optional[str] = ..., time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class CheckHealthRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class CheckHealthResponse(_message.Message):
    __slots__ = ("health", "unhealthy")
    HEALTH_FIELD_NUMBER: _ClassVar[int]
    UNHEALTHY_FIELD_NUMBER: _ClassVar[int]
    health: Health
    unhealthy: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, health: _Optional[_Union[Health, str]] = ..., unhealthy: _Optional[_Iterable[str]] = ...) -> None: ...

class MissingPart(_message.Message):
    __slots__ = ("part", "reason")
    PART_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    part: str
    reason: str
    def __init__(self, part: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class DiskMetrics(_message.Message):
    __slots__ = ("path", "total_bytes", "free_bytes")
    PATH_FIELD_NUMBER: _ClassVar[int]
    TOTAL_BYTES_FIELD_NUMBER: _ClassVar[int]
    FREE_BYTES_FIELD_NUMBER: _ClassVar[int]
    path: str
    total_bytes: int
    free_bytes: int
    def __init__(self, path: _Optional[str] = ..., total_bytes: _Optional[int] = ..., free_bytes: _Optional[int] = ...) -> None: ...

class HostMetrics(_message.Message):
    __slots__ = ("hostname", "sample_time", "cpu_count", "cpu_percent", "load_average", "memory_total_bytes", "memory_available_bytes", "swap_total_bytes", "swap_used_bytes", "disks", "network_received_bytes", "network_sent_bytes", "network_received_per_second", "network_sent_per_second", "boot_time")
    HOSTNAME_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_TIME_FIELD_NUMBER: _ClassVar[int]
    CPU_COUNT_FIELD_NUMBER: _ClassVar[int]
    CPU_PERCENT_FIELD_NUMBER: _ClassVar[int]
    LOAD_AVERAGE_FIELD_NUMBER: _ClassVar[int]
    MEMORY_TOTAL_BYTES_FIELD_NUMBER: _ClassVar[int]
    MEMORY_AVAILABLE_BYTES_FIELD_NUMBER: _ClassVar[int]
    SWAP_TOTAL_BYTES_FIELD_NUMBER: _ClassVar[int]
    SWAP_USED_BYTES_FIELD_NUMBER: _ClassVar[int]
    DISKS_FIELD_NUMBER: _ClassVar[int]
    NETWORK_RECEIVED_BYTES_FIELD_NUMBER: _ClassVar[int]
    NETWORK_SENT_BYTES_FIELD_NUMBER: _ClassVar[int]
    NETWORK_RECEIVED_PER_SECOND_FIELD_NUMBER: _ClassVar[int]
    NETWORK_SENT_PER_SECOND_FIELD_NUMBER: _ClassVar[int]
    BOOT_TIME_FIELD_NUMBER: _ClassVar[int]
    hostname: str
    sample_time: _timestamp_pb2.Timestamp
    cpu_count: int
    cpu_percent: float
    load_average: _containers.RepeatedScalarFieldContainer[float]
    memory_total_bytes: int
    memory_available_bytes: int
    swap_total_bytes: int
    swap_used_bytes: int
    disks: _containers.RepeatedCompositeFieldContainer[DiskMetrics]
    network_received_bytes: int
    network_sent_bytes: int
    network_received_per_second: float
    network_sent_per_second: float
    boot_time: _timestamp_pb2.Timestamp
    def __init__(self, hostname: _Optional[str] = ..., sample_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., cpu_count: _Optional[int] = ..., cpu_percent: _Optional[float] = ..., load_average: _Optional[_Iterable[float]] = ..., memory_total_bytes: _Optional[int] = ..., memory_available_bytes: _Optional[int] = ..., swap_total_bytes: _Optional[int] = ..., swap_used_bytes: _Optional[int] = ..., disks: _Optional[_Iterable[_Union[DiskMetrics, _Mapping]]] = ..., network_received_bytes: _Optional[int] = ..., network_sent_bytes: _Optional[int] = ..., network_received_per_second: _Optional[float] = ..., network_sent_per_second: _Optional[float] = ..., boot_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class TaskStateCount(_message.Message):
    __slots__ = ("state", "count")
    STATE_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    state: _tasks_pb2.TaskState
    count: int
    def __init__(self, state: _Optional[_Union[_tasks_pb2.TaskState, str]] = ..., count: _Optional[int] = ...) -> None: ...

class CeleryMetrics(_message.Message):
    __slots__ = ("tasks", "active_tasks", "waiting_messages", "online_workers", "silent_workers", "queues", "events_per_second", "succeeded_per_second", "failed_per_second")
    TASKS_FIELD_NUMBER: _ClassVar[int]
    ACTIVE_TASKS_FIELD_NUMBER: _ClassVar[int]
    WAITING_MESSAGES_FIELD_NUMBER: _ClassVar[int]
    ONLINE_WORKERS_FIELD_NUMBER: _ClassVar[int]
    SILENT_WORKERS_FIELD_NUMBER: _ClassVar[int]
    QUEUES_FIELD_NUMBER: _ClassVar[int]
    EVENTS_PER_SECOND_FIELD_NUMBER: _ClassVar[int]
    SUCCEEDED_PER_SECOND_FIELD_NUMBER: _ClassVar[int]
    FAILED_PER_SECOND_FIELD_NUMBER: _ClassVar[int]
    tasks: _containers.RepeatedCompositeFieldContainer[TaskStateCount]
    active_tasks: int
    waiting_messages: int
    online_workers: int
    silent_workers: int
    queues: _containers.RepeatedCompositeFieldContainer[_queues_pb2.Queue]
    events_per_second: float
    succeeded_per_second: float
    failed_per_second: float
    def __init__(self, tasks: _Optional[_Iterable[_Union[TaskStateCount, _Mapping]]] = ..., active_tasks: _Optional[int] = ..., waiting_messages: _Optional[int] = ..., online_workers: _Optional[int] = ..., silent_workers: _Optional[int] = ..., queues: _Optional[_Iterable[_Union[_queues_pb2.Queue, _Mapping]]] = ..., events_per_second: _Optional[float] = ..., succeeded_per_second: _Optional[float] = ..., failed_per_second: _Optional[float] = ...) -> None: ...

class GetMetricsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetMetricsResponse(_message.Message):
    __slots__ = ("host", "celery", "missing_parts")
    HOST_FIELD_NUMBER: _ClassVar[int]
    CELERY_FIELD_NUMBER: _ClassVar[int]
    MISSING_PARTS_FIELD_NUMBER: _ClassVar[int]
    host: HostMetrics
    celery: CeleryMetrics
    missing_parts: _containers.RepeatedCompositeFieldContainer[MissingPart]
    def __init__(self, host: _Optional[_Union[HostMetrics, _Mapping]] = ..., celery: _Optional[_Union[CeleryMetrics, _Mapping]] = ..., missing_parts: _Optional[_Iterable[_Union[MissingPart, _Mapping]]] = ...) -> None: ...

class TaskIntake(_message.Message):
    __slots__ = ("running", "stop_time", "stopped_by", "shut_down", "scheduler_told")
    RUNNING_FIELD_NUMBER: _ClassVar[int]
    STOP_TIME_FIELD_NUMBER: _ClassVar[int]
    STOPPED_BY_FIELD_NUMBER: _ClassVar[int]
    SHUT_DOWN_FIELD_NUMBER: _ClassVar[int]
    SCHEDULER_TOLD_FIELD_NUMBER: _ClassVar[int]
    running: bool
    stop_time: _timestamp_pb2.Timestamp
    stopped_by: str
    shut_down: bool
    scheduler_told: bool
    def __init__(self, running: bool = ..., stop_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., stopped_by: _Optional[str] = ..., shut_down: bool = ..., scheduler_told: bool = ...) -> None: ...

class ConcernedWorker(_message.Message):
    __slots__ = ("worker", "task_count")
    WORKER_FIELD_NUMBER: _ClassVar[int]
    TASK_COUNT_FIELD_NUMBER: _ClassVar[int]
    worker: str
    task_count: int
    def __init__(self, worker: _Optional[str] = ..., task_count: _Optional[int] = ...) -> None: ...

class DrainRequest(_message.Message):
    __slots__ = ("timeout", "validate_only")
    TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    timeout: _duration_pb2.Duration
    validate_only: bool
    def __init__(self, timeout: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., validate_only: bool = ...) -> None: ...

class DrainResponse(_message.Message):
    __slots__ = ("operation", "intake", "workers", "replies")
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    INTAKE_FIELD_NUMBER: _ClassVar[int]
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    REPLIES_FIELD_NUMBER: _ClassVar[int]
    operation: _operations_pb2.Operation
    intake: TaskIntake
    workers: _containers.RepeatedCompositeFieldContainer[ConcernedWorker]
    replies: _containers.RepeatedCompositeFieldContainer[_tasks_pb2.WorkerReply]
    def __init__(self, operation: _Optional[_Union[_operations_pb2.Operation, _Mapping]] = ..., intake: _Optional[_Union[TaskIntake, _Mapping]] = ..., workers: _Optional[_Iterable[_Union[ConcernedWorker, _Mapping]]] = ..., replies: _Optional[_Iterable[_Union[_tasks_pb2.WorkerReply, _Mapping]]] = ...) -> None: ...

class ResumeRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ResumeResponse(_message.Message):
    __slots__ = ("intake", "replies")
    INTAKE_FIELD_NUMBER: _ClassVar[int]
    REPLIES_FIELD_NUMBER: _ClassVar[int]
    intake: TaskIntake
    replies: _containers.RepeatedCompositeFieldContainer[_tasks_pb2.WorkerReply]
    def __init__(self, intake: _Optional[_Union[TaskIntake, _Mapping]] = ..., replies: _Optional[_Iterable[_Union[_tasks_pb2.WorkerReply, _Mapping]]] = ...) -> None: ...

class ShutdownRequest(_message.Message):
    __slots__ = ("timeout", "validate_only")
    TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    timeout: _duration_pb2.Duration
    validate_only: bool
    def __init__(self, timeout: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., validate_only: bool = ...) -> None: ...

class ShutdownResponse(_message.Message):
    __slots__ = ("operation", "intake", "workers", "note")
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    INTAKE_FIELD_NUMBER: _ClassVar[int]
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    operation: _operations_pb2.Operation
    intake: TaskIntake
    workers: _containers.RepeatedCompositeFieldContainer[ConcernedWorker]
    note: str
    def __init__(self, operation: _Optional[_Union[_operations_pb2.Operation, _Mapping]] = ..., intake: _Optional[_Union[TaskIntake, _Mapping]] = ..., workers: _Optional[_Iterable[_Union[ConcernedWorker, _Mapping]]] = ..., note: _Optional[str] = ...) -> None: ...

class RestartRequest(_message.Message):
    __slots__ = ("worker_timeout", "validate_only")
    WORKER_TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    worker_timeout: _duration_pb2.Duration
    validate_only: bool
    def __init__(self, worker_timeout: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., validate_only: bool = ...) -> None: ...

class RestartResponse(_message.Message):
    __slots__ = ("operation", "workers", "note")
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    operation: _operations_pb2.Operation
    workers: _containers.RepeatedCompositeFieldContainer[ConcernedWorker]
    note: str
    def __init__(self, operation: _Optional[_Union[_operations_pb2.Operation, _Mapping]] = ..., workers: _Optional[_Iterable[_Union[ConcernedWorker, _Mapping]]] = ..., note: _Optional[str] = ...) -> None: ...

class SystemServiceStartRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class SystemServiceStartResponse(_message.Message):
    __slots__ = ("intake", "replies")
    INTAKE_FIELD_NUMBER: _ClassVar[int]
    REPLIES_FIELD_NUMBER: _ClassVar[int]
    intake: TaskIntake
    replies: _containers.RepeatedCompositeFieldContainer[_tasks_pb2.WorkerReply]
    def __init__(self, intake: _Optional[_Union[TaskIntake, _Mapping]] = ..., replies: _Optional[_Iterable[_Union[_tasks_pb2.WorkerReply, _Mapping]]] = ...) -> None: ...
