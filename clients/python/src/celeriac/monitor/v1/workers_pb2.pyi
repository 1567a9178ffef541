from celeriac.access.v1 import policy_pb2 as _policy_pb2
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
