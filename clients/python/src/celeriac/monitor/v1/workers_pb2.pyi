from celeriac.access.v1 import policy_pb2 as _policy_pb2
from celeriac.monitor.v1 import tasks_pb2 as _tasks_pb2
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

class WorkerState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    WORKER_STATE_UNSPECIFIED: _ClassVar[WorkerState]
    WORKER_STATE_ONLINE: _ClassVar[WorkerState]
    WORKER_STATE_SILENT: _ClassVar[WorkerState]
    WORKER_STATE_GONE: _ClassVar[WorkerState]

class WorkerWarning(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    WORKER_WARNING_UNSPECIFIED: _ClassVar[WorkerWarning]
    WORKER_WARNING_HOSTNAME_SHARED: _ClassVar[WorkerWarning]
    WORKER_WARNING_CLOCK_SKEWED: _ClassVar[WorkerWarning]

class TaskEvents(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TASK_EVENTS_UNSPECIFIED: _ClassVar[TaskEvents]
    TASK_EVENTS_UNKNOWN: _ClassVar[TaskEvents]
    TASK_EVENTS_ON: _ClassVar[TaskEvents]
    TASK_EVENTS_OFF: _ClassVar[TaskEvents]

class WorkerPart(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    WORKER_PART_UNSPECIFIED: _ClassVar[WorkerPart]
    WORKER_PART_POOL: _ClassVar[WorkerPart]
    WORKER_PART_QUEUES: _ClassVar[WorkerPart]
    WORKER_PART_REGISTERED_TASKS: _ClassVar[WorkerPart]
    WORKER_PART_ACTIVE_TASKS: _ClassVar[WorkerPart]
    WORKER_PART_RESERVED_TASKS: _ClassVar[WorkerPart]
    WORKER_PART_SCHEDULED_TASKS: _ClassVar[WorkerPart]
    WORKER_PART_CONFIGURATION: _ClassVar[WorkerPart]
    WORKER_PART_PROCESSES: _ClassVar[WorkerPart]
WORKER_STATE_UNSPECIFIED: WorkerState
WORKER_STATE_ONLINE: WorkerState
WORKER_STATE_SILENT: WorkerState
WORKER_STATE_GONE: WorkerState
WORKER_WARNING_UNSPECIFIED: WorkerWarning
WORKER_WARNING_HOSTNAME_SHARED: WorkerWarning
WORKER_WARNING_CLOCK_SKEWED: WorkerWarning
TASK_EVENTS_UNSPECIFIED: TaskEvents
TASK_EVENTS_UNKNOWN: TaskEvents
TASK_EVENTS_ON: TaskEvents
TASK_EVENTS_OFF: TaskEvents
WORKER_PART_UNSPECIFIED: WorkerPart
WORKER_PART_POOL: WorkerPart
WORKER_PART_QUEUES: WorkerPart
WORKER_PART_REGISTERED_TASKS: WorkerPart
WORKER_PART_ACTIVE_TASKS: WorkerPart
WORKER_PART_RESERVED_TASKS: WorkerPart
WORKER_PART_SCHEDULED_TASKS: WorkerPart
WORKER_PART_CONFIGURATION: WorkerPart
WORKER_PART_PROCESSES: WorkerPart

class Worker(_message.Message):
    __slots__ = ("name", "hostname", "state", "pid", "software", "software_version", "system", "active", "processed", "load_average", "heartbeat_interval", "started_heard", "first_seen_time", "last_seen_time", "events_lost", "clock_skew", "pool", "warnings", "task_events", "queues")
    NAME_FIELD_NUMBER: _ClassVar[int]
    HOSTNAME_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    SOFTWARE_FIELD_NUMBER: _ClassVar[int]
    SOFTWARE_VERSION_FIELD_NUMBER: _ClassVar[int]
    SYSTEM_FIELD_NUMBER: _ClassVar[int]
    ACTIVE_FIELD_NUMBER: _ClassVar[int]
    PROCESSED_FIELD_NUMBER: _ClassVar[int]
    LOAD_AVERAGE_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_INTERVAL_FIELD_NUMBER: _ClassVar[int]
    STARTED_HEARD_FIELD_NUMBER: _ClassVar[int]
    FIRST_SEEN_TIME_FIELD_NUMBER: _ClassVar[int]
    LAST_SEEN_TIME_FIELD_NUMBER: _ClassVar[int]
    EVENTS_LOST_FIELD_NUMBER: _ClassVar[int]
    CLOCK_SKEW_FIELD_NUMBER: _ClassVar[int]
    POOL_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    TASK_EVENTS_FIELD_NUMBER: _ClassVar[int]
    QUEUES_FIELD_NUMBER: _ClassVar[int]
    name: str
    hostname: str
    state: WorkerState
    pid: int
    software: str
    software_version: str
    system: str
    active: int
    processed: int
    load_average: _containers.RepeatedScalarFieldContainer[float]
    heartbeat_interval: _duration_pb2.Duration
    started_heard: int
    first_seen_time: _timestamp_pb2.Timestamp
    last_seen_time: _timestamp_pb2.Timestamp
    events_lost: int
    clock_skew: _duration_pb2.Duration
    pool: str
    warnings: _containers.RepeatedScalarFieldContainer[WorkerWarning]
    task_events: TaskEvents
    queues: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, name: _Optional[str] = ..., hostname: _Optional[str] = ..., state: _Optional[_Union[WorkerState, str]] = ..., pid: _Optional[int] = ..., software: _Optional[str] = ..., software_version: _Optional[str] = ..., system: _Optional[str] = ..., active: _Optional[int] = ..., processed: _Optional[int] = ..., load_average: _Optional[_Iterable[float]] = ..., heartbeat_interval: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., started_heard: _Optional[int] = ..., first_seen_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., last_seen_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., events_lost: _Optional[int] = ..., clock_skew: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., pool: _Optional[str] = ..., warnings: _Optional[_Iterable[_Union[WorkerWarning, str]]] = ..., task_events: _Optional[_Union[TaskEvents, str]] = ..., queues: _Optional[_Iterable[str]] = ...) -> None: ...

class GetWorkerRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class GetWorkerResponse(_message.Message):
    __slots__ = ("worker",)
    WORKER_FIELD_NUMBER: _ClassVar[int]
    worker: Worker
    def __init__(self, worker: _Optional[_Union[Worker, _Mapping]] = ...) -> None: ...

class ListWorkersRequest(_message.Message):
    __slots__ = ("states", "page_size", "page_token")
    STATES_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    states: _containers.RepeatedScalarFieldContainer[WorkerState]
    page_size: int
    page_token: str
    def __init__(self, states: _Optional[_Iterable[_Union[WorkerState, str]]] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListWorkersResponse(_message.Message):
    __slots__ = ("workers", "next_page_token")
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    workers: _containers.RepeatedCompositeFieldContainer[Worker]
    next_page_token: str
    def __init__(self, workers: _Optional[_Iterable[_Union[Worker, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class DeleteWorkerRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class DeleteWorkerResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class UnknownPart(_message.Message):
    __slots__ = ("part", "reason")
    PART_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    part: WorkerPart
    reason: str
    def __init__(self, part: _Optional[_Union[WorkerPart, str]] = ..., reason: _Optional[str] = ...) -> None: ...

class WorkerPool(_message.Message):
    __slots__ = ("kind", "concurrency", "pids", "prefetch_count", "autoscale", "max_tasks_per_child", "soft_time_limit", "time_limit")
    KIND_FIELD_NUMBER: _ClassVar[int]
    CONCURRENCY_FIELD_NUMBER: _ClassVar[int]
    PIDS_FIELD_NUMBER: _ClassVar[int]
    PREFETCH_COUNT_FIELD_NUMBER: _ClassVar[int]
    AUTOSCALE_FIELD_NUMBER: _ClassVar[int]
    MAX_TASKS_PER_CHILD_FIELD_NUMBER: _ClassVar[int]
    SOFT_TIME_LIMIT_FIELD_NUMBER: _ClassVar[int]
    TIME_LIMIT_FIELD_NUMBER: _ClassVar[int]
    kind: str
    concurrency: int
    pids: _containers.RepeatedScalarFieldContainer[int]
    prefetch_count: int
    autoscale: AutoscaleBounds
    max_tasks_per_child: int
    soft_time_limit: _duration_pb2.Duration
    time_limit: _duration_pb2.Duration
    def __init__(self, kind: _Optional[str] = ..., concurrency: _Optional[int] = ..., pids: _Optional[_Iterable[int]] = ..., prefetch_count: _Optional[int] = ..., autoscale: _Optional[_Union[AutoscaleBounds, _Mapping]] = ..., max_tasks_per_child: _Optional[int] = ..., soft_time_limit: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., time_limit: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class AutoscaleBounds(_message.Message):
    __slots__ = ("max_concurrency", "min_concurrency")
    MAX_CONCURRENCY_FIELD_NUMBER: _ClassVar[int]
    MIN_CONCURRENCY_FIELD_NUMBER: _ClassVar[int]
    max_concurrency: int
    min_concurrency: int
    def __init__(self, max_concurrency: _Optional[int] = ..., min_concurrency: _Optional[int] = ...) -> None: ...

class ConsumedQueue(_message.Message):
    __slots__ = ("queue", "exchange", "exchange_type", "routing_key", "options")
    class OptionsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    EXCHANGE_FIELD_NUMBER: _ClassVar[int]
    EXCHANGE_TYPE_FIELD_NUMBER: _ClassVar[int]
    ROUTING_KEY_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    queue: str
    exchange: str
    exchange_type: str
    routing_key: str
    options: _containers.ScalarMap[str, str]
    def __init__(self, queue: _Optional[str] = ..., exchange: _Optional[str] = ..., exchange_type: _Optional[str] = ..., routing_key: _Optional[str] = ..., options: _Optional[_Mapping[str, str]] = ...) -> None: ...

class HeldTask(_message.Message):
    __slots__ = ("task", "task_name", "args", "kwargs", "queue", "started_time", "eta", "pid", "acknowledged", "redelivered", "priority")
    TASK_FIELD_NUMBER: _ClassVar[int]
    TASK_NAME_FIELD_NUMBER: _ClassVar[int]
    ARGS_FIELD_NUMBER: _ClassVar[int]
    KWARGS_FIELD_NUMBER: _ClassVar[int]
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    STARTED_TIME_FIELD_NUMBER: _ClassVar[int]
    ETA_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    ACKNOWLEDGED_FIELD_NUMBER: _ClassVar[int]
    REDELIVERED_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    task: str
    task_name: str
    args: str
    kwargs: str
    queue: str
    started_time: _timestamp_pb2.Timestamp
    eta: _timestamp_pb2.Timestamp
    pid: int
    acknowledged: bool
    redelivered: bool
    priority: int
    def __init__(self, task: _Optional[str] = ..., task_name: _Optional[str] = ..., args: _Optional[str] = ..., kwargs: _Optional[str] = ..., queue: _Optional[str] = ..., started_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., eta: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., pid: _Optional[int] = ..., acknowledged: bool = ..., redelivered: bool = ..., priority: _Optional[int] = ...) -> None: ...

class WorkerProcess(_message.Message):
    __slots__ = ("pid", "main", "memory_bytes", "cpu_time", "cpu_percent", "start_time")
    PID_FIELD_NUMBER: _ClassVar[int]
    MAIN_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    CPU_TIME_FIELD_NUMBER: _ClassVar[int]
    CPU_PERCENT_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    pid: int
    main: bool
    memory_bytes: int
    cpu_time: _duration_pb2.Duration
    cpu_percent: float
    start_time: _timestamp_pb2.Timestamp
    def __init__(self, pid: _Optional[int] = ..., main: bool = ..., memory_bytes: _Optional[int] = ..., cpu_time: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., cpu_percent: _Optional[float] = ..., start_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class WorkerInspection(_message.Message):
    __slots__ = ("worker", "inspect_time", "unknown_parts", "pool", "uptime", "processed", "queues", "queue_count", "registered_names", "registered_count", "active_tasks", "active_count", "reserved_tasks", "reserved_count", "scheduled_tasks", "scheduled_count", "configuration", "processes")
    class ProcessedEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    class ConfigurationEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    WORKER_FIELD_NUMBER: _ClassVar[int]
    INSPECT_TIME_FIELD_NUMBER: _ClassVar[int]
    UNKNOWN_PARTS_FIELD_NUMBER: _ClassVar[int]
    POOL_FIELD_NUMBER: _ClassVar[int]
    UPTIME_FIELD_NUMBER: _ClassVar[int]
    PROCESSED_FIELD_NUMBER: _ClassVar[int]
    QUEUES_FIELD_NUMBER: _ClassVar[int]
    QUEUE_COUNT_FIELD_NUMBER: _ClassVar[int]
    REGISTERED_NAMES_FIELD_NUMBER: _ClassVar[int]
    REGISTERED_COUNT_FIELD_NUMBER: _ClassVar[int]
    ACTIVE_TASKS_FIELD_NUMBER: _ClassVar[int]
    ACTIVE_COUNT_FIELD_NUMBER: _ClassVar[int]
    RESERVED_TASKS_FIELD_NUMBER: _ClassVar[int]
    RESERVED_COUNT_FIELD_NUMBER: _ClassVar[int]
    SCHEDULED_TASKS_FIELD_NUMBER: _ClassVar[int]
    SCHEDULED_COUNT_FIELD_NUMBER: _ClassVar[int]
    CONFIGURATION_FIELD_NUMBER: _ClassVar[int]
    PROCESSES_FIELD_NUMBER: _ClassVar[int]
    worker: str
    inspect_time: _timestamp_pb2.Timestamp
    unknown_parts: _containers.RepeatedCompositeFieldContainer[UnknownPart]
    pool: WorkerPool
    uptime: _duration_pb2.Duration
    processed: _containers.ScalarMap[str, int]
    queues: _containers.RepeatedCompositeFieldContainer[ConsumedQueue]
    queue_count: int
    registered_names: _containers.RepeatedScalarFieldContainer[str]
    registered_count: int
    active_tasks: _containers.RepeatedCompositeFieldContainer[HeldTask]
    active_count: int
    reserved_tasks: _containers.RepeatedCompositeFieldContainer[HeldTask]
    reserved_count: int
    scheduled_tasks: _containers.RepeatedCompositeFieldContainer[HeldTask]
    scheduled_count: int
    configuration: _containers.ScalarMap[str, str]
    processes: _containers.RepeatedCompositeFieldContainer[WorkerProcess]
    def __init__(self, worker: _Optional[str] = ..., inspect_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., unknown_parts: _Optional[_Iterable[_Union[UnknownPart, _Mapping]]] = ..., pool: _Optional[_Union[WorkerPool, _Mapping]] = ..., uptime: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., processed: _Optional[_Mapping[str, int]] = ..., queues: _Optional[_Iterable[_Union[ConsumedQueue, _Mapping]]] = ..., queue_count: _Optional[int] = ..., registered_names: _Optional[_Iterable[str]] = ..., registered_count: _Optional[int] = ..., active_tasks: _Optional[_Iterable[_Union[HeldTask, _Mapping]]] = ..., active_count: _Optional[int] = ..., reserved_tasks: _Optional[_Iterable[_Union[HeldTask, _Mapping]]] = ..., reserved_count: _Optional[int] = ..., scheduled_tasks: _Optional[_Iterable[_Union[HeldTask, _Mapping]]] = ..., scheduled_count: _Optional[int] = ..., configuration: _Optional[_Mapping[str, str]] = ..., processes: _Optional[_Iterable[_Union[WorkerProcess, _Mapping]]] = ...) -> None: ...

class InspectWorkerRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class InspectWorkerResponse(_message.Message):
    __slots__ = ("inspection",)
    INSPECTION_FIELD_NUMBER: _ClassVar[int]
    inspection: WorkerInspection
    def __init__(self, inspection: _Optional[_Union[WorkerInspection, _Mapping]] = ...) -> None: ...

class PingWorkersRequest(_message.Message):
    __slots__ = ("workers", "all")
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    ALL_FIELD_NUMBER: _ClassVar[int]
    workers: _containers.RepeatedScalarFieldContainer[str]
    all: bool
    def __init__(self, workers: _Optional[_Iterable[str]] = ..., all: bool = ...) -> None: ...

class PingWorkersResponse(_message.Message):
    __slots__ = ("replies",)
    REPLIES_FIELD_NUMBER: _ClassVar[int]
    replies: _containers.RepeatedCompositeFieldContainer[_tasks_pb2.WorkerReply]
    def __init__(self, replies: _Optional[_Iterable[_Union[_tasks_pb2.WorkerReply, _Mapping]]] = ...) -> None: ...

class GrowPoolRequest(_message.Message):
    __slots__ = ("workers", "all", "count")
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    ALL_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    workers: _containers.RepeatedScalarFieldContainer[str]
    all: bool
    count: int
    def __init__(self, workers: _Optional[_Iterable[str]] = ..., all: bool = ..., count: _Optional[int] = ...) -> None: ...

class GrowPoolResponse(_message.Message):
    __slots__ = ("replies",)
    REPLIES_FIELD_NUMBER: _ClassVar[int]
    replies: _containers.RepeatedCompositeFieldContainer[_tasks_pb2.WorkerReply]
    def __init__(self, replies: _Optional[_Iterable[_Union[_tasks_pb2.WorkerReply, _Mapping]]] = ...) -> None: ...

class ShrinkPoolRequest(_message.Message):
    __slots__ = ("workers", "all", "count")
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    ALL_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    workers: _containers.RepeatedScalarFieldContainer[str]
    all: bool
    count: int
    def __init__(self, workers: _Optional[_Iterable[str]] = ..., all: bool = ..., count: _Optional[int] = ...) -> None: ...

class ShrinkPoolResponse(_message.Message):
    __slots__ = ("replies",)
    REPLIES_FIELD_NUMBER: _ClassVar[int]
    replies: _containers.RepeatedCompositeFieldContainer[_tasks_pb2.WorkerReply]
    def __init__(self, replies: _Optional[_Iterable[_Union[_tasks_pb2.WorkerReply, _Mapping]]] = ...) -> None: ...

class AutoscalePoolRequest(_message.Message):
    __slots__ = ("workers", "all", "max_concurrency", "min_concurrency")
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    ALL_FIELD_NUMBER: _ClassVar[int]
    MAX_CONCURRENCY_FIELD_NUMBER: _ClassVar[int]
    MIN_CONCURRENCY_FIELD_NUMBER: _ClassVar[int]
    workers: _containers.RepeatedScalarFieldContainer[str]
    all: bool
    max_concurrency: int
    min_concurrency: int
    def __init__(self, workers: _Optional[_Iterable[str]] = ..., all: bool = ..., max_concurrency: _Optional[int] = ..., min_concurrency: _Optional[int] = ...) -> None: ...

class AutoscalePoolResponse(_message.Message):
    __slots__ = ("replies",)
    REPLIES_FIELD_NUMBER: _ClassVar[int]
    replies: _containers.RepeatedCompositeFieldContainer[_tasks_pb2.WorkerReply]
    def __init__(self, replies: _Optional[_Iterable[_Union[_tasks_pb2.WorkerReply, _Mapping]]] = ...) -> None: ...

class AddConsumerRequest(_message.Message):
    __slots__ = ("workers", "all", "queue")
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    ALL_FIELD_NUMBER: _ClassVar[int]
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    workers: _containers.RepeatedScalarFieldContainer[str]
    all: bool
    queue: str
    def __init__(self, workers: _Optional[_Iterable[str]] = ..., all: bool = ..., queue: _Optional[str] = ...) -> None: ...

class AddConsumerResponse(_message.Message):
    __slots__ = ("replies",)
    REPLIES_FIELD_NUMBER: _ClassVar[int]
    replies: _containers.RepeatedCompositeFieldContainer[_tasks_pb2.WorkerReply]
    def __init__(self, replies: _Optional[_Iterable[_Union[_tasks_pb2.WorkerReply, _Mapping]]] = ...) -> None: ...

class CancelConsumerRequest(_message.Message):
    __slots__ = ("workers", "all", "queue")
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    ALL_FIELD_NUMBER: _ClassVar[int]
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    workers: _containers.RepeatedScalarFieldContainer[str]
    all: bool
    queue: str
    def __init__(self, workers: _Optional[_Iterable[str]] = ..., all: bool = ..., queue: _Optional[str] = ...) -> None: ...

class CancelConsumerResponse(_message.Message):
    __slots__ = ("replies",)
    REPLIES_FIELD_NUMBER: _ClassVar[int]
    replies: _containers.RepeatedCompositeFieldContainer[_tasks_pb2.WorkerReply]
    def __init__(self, replies: _Optional[_Iterable[_Union[_tasks_pb2.WorkerReply, _Mapping]]] = ...) -> None: ...

class RestartPoolRequest(_message.Message):
    __slots__ = ("workers", "all")
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    ALL_FIELD_NUMBER: _ClassVar[int]
    workers: _containers.RepeatedScalarFieldContainer[str]
    all: bool
    def __init__(self, workers: _Optional[_Iterable[str]] = ..., all: bool = ...) -> None: ...

class RestartPoolResponse(_message.Message):
    __slots__ = ("replies",)
    REPLIES_FIELD_NUMBER: _ClassVar[int]
    replies: _containers.RepeatedCompositeFieldContainer[_tasks_pb2.WorkerReply]
    def __init__(self, replies: _Optional[_Iterable[_Union[_tasks_pb2.WorkerReply, _Mapping]]] = ...) -> None: ...

class ShutdownWorkersRequest(_message.Message):
    __slots__ = ("workers", "all", "wait", "validate_only")
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    ALL_FIELD_NUMBER: _ClassVar[int]
    WAIT_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    workers: _containers.RepeatedScalarFieldContainer[str]
    all: bool
    wait: _duration_pb2.Duration
    validate_only: bool
    def __init__(self, workers: _Optional[_Iterable[str]] = ..., all: bool = ..., wait: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., validate_only: bool = ...) -> None: ...

class ShutdownWorkersResponse(_message.Message):
    __slots__ = ("replies", "workers")
    REPLIES_FIELD_NUMBER: _ClassVar[int]
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    replies: _containers.RepeatedCompositeFieldContainer[_tasks_pb2.WorkerReply]
    workers: _containers.RepeatedCompositeFieldContainer[StoppedWorker]
    def __init__(self, replies: _Optional[_Iterable[_Union[_tasks_pb2.WorkerReply, _Mapping]]] = ..., workers: _Optional[_Iterable[_Union[StoppedWorker, _Mapping]]] = ...) -> None: ...

class StoppedWorker(_message.Message):
    __slots__ = ("worker", "active_count")
    WORKER_FIELD_NUMBER: _ClassVar[int]
    ACTIVE_COUNT_FIELD_NUMBER: _ClassVar[int]
    worker: str
    active_count: int
    def __init__(self, worker: _Optional[str] = ..., active_count: _Optional[int] = ...) -> None: ...

class LimitTaskRateRequest(_message.Message):
    __slots__ = ("workers", "all", "task_name", "rate_limit")
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    ALL_FIELD_NUMBER: _ClassVar[int]
    TASK_NAME_FIELD_NUMBER: _ClassVar[int]
    RATE_LIMIT_FIELD_NUMBER: _ClassVar[int]
    workers: _containers.RepeatedScalarFieldContainer[str]
    all: bool
    task_name: str
    rate_limit: str
    def __init__(self, workers: _Optional[_Iterable[str]] = ..., all: bool = ..., task_name: _Optional[str] = ..., rate_limit: _Optional[str] = ...) -> None: ...

class LimitTaskRateResponse(_message.Message):
    __slots__ = ("replies",)
    REPLIES_FIELD_NUMBER: _ClassVar[int]
    replies: _containers.RepeatedCompositeFieldContainer[_tasks_pb2.WorkerReply]
    def __init__(self, replies: _Optional[_Iterable[_Union[_tasks_pb2.WorkerReply, _Mapping]]] = ...) -> None: ...
