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

class TaskState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TASK_STATE_UNSPECIFIED: _ClassVar[TaskState]
    TASK_STATE_PENDING: _ClassVar[TaskState]
    TASK_STATE_RECEIVED: _ClassVar[TaskState]
    TASK_STATE_STARTED: _ClassVar[TaskState]
    TASK_STATE_SUCCESS: _ClassVar[TaskState]
    TASK_STATE_FAILURE: _ClassVar[TaskState]
    TASK_STATE_RETRY: _ClassVar[TaskState]
    TASK_STATE_REVOKED: _ClassVar[TaskState]
    TASK_STATE_REJECTED: _ClassVar[TaskState]
    TASK_STATE_ENDED: _ClassVar[TaskState]
    TASK_STATE_ORPHANED: _ClassVar[TaskState]
    TASK_STATE_LOST: _ClassVar[TaskState]

class Revocation(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REVOCATION_UNSPECIFIED: _ClassVar[Revocation]
    REVOCATION_EXPIRED: _ClassVar[Revocation]
    REVOCATION_REVOKED: _ClassVar[Revocation]
    REVOCATION_TERMINATED: _ClassVar[Revocation]

class WorkerOutcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    WORKER_OUTCOME_UNSPECIFIED: _ClassVar[WorkerOutcome]
    WORKER_OUTCOME_DONE: _ClassVar[WorkerOutcome]
    WORKER_OUTCOME_FLAGGED: _ClassVar[WorkerOutcome]
    WORKER_OUTCOME_UNKNOWN_TASK: _ClassVar[WorkerOutcome]
    WORKER_OUTCOME_NO_ANSWER: _ClassVar[WorkerOutcome]
    WORKER_OUTCOME_FAILED: _ClassVar[WorkerOutcome]
    WORKER_OUTCOME_NOT_SENT: _ClassVar[WorkerOutcome]
    WORKER_OUTCOME_STOPPING: _ClassVar[WorkerOutcome]

class ArgumentSource(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ARGUMENT_SOURCE_UNSPECIFIED: _ClassVar[ArgumentSource]
    ARGUMENT_SOURCE_SCHEDULE: _ClassVar[ArgumentSource]
    ARGUMENT_SOURCE_RESULT: _ClassVar[ArgumentSource]
    ARGUMENT_SOURCE_WORKER: _ClassVar[ArgumentSource]
    ARGUMENT_SOURCE_EVENT: _ClassVar[ArgumentSource]
    ARGUMENT_SOURCE_SEALED: _ClassVar[ArgumentSource]

class AttemptEnd(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ATTEMPT_END_UNSPECIFIED: _ClassVar[AttemptEnd]
    ATTEMPT_END_RETRIED: _ClassVar[AttemptEnd]
    ATTEMPT_END_SUCCEEDED: _ClassVar[AttemptEnd]
    ATTEMPT_END_FAILED: _ClassVar[AttemptEnd]
    ATTEMPT_END_REVOKED: _ClassVar[AttemptEnd]
    ATTEMPT_END_REJECTED: _ClassVar[AttemptEnd]
    ATTEMPT_END_LEFT: _ClassVar[AttemptEnd]
TASK_STATE_UNSPECIFIED: TaskState
TASK_STATE_PENDING: TaskState
TASK_STATE_RECEIVED: TaskState
TASK_STATE_STARTED: TaskState
TASK_STATE_SUCCESS: TaskState
TASK_STATE_FAILURE: TaskState
TASK_STATE_RETRY: TaskState
TASK_STATE_REVOKED: TaskState
TASK_STATE_REJECTED: TaskState
TASK_STATE_ENDED: TaskState
TASK_STATE_ORPHANED: TaskState
TASK_STATE_LOST: TaskState
REVOCATION_UNSPECIFIED: Revocation
REVOCATION_EXPIRED: Revocation
REVOCATION_REVOKED: Revocation
REVOCATION_TERMINATED: Revocation
WORKER_OUTCOME_UNSPECIFIED: WorkerOutcome
WORKER_OUTCOME_DONE: WorkerOutcome
WORKER_OUTCOME_FLAGGED: WorkerOutcome
WORKER_OUTCOME_UNKNOWN_TASK: WorkerOutcome
WORKER_OUTCOME_NO_ANSWER: WorkerOutcome
WORKER_OUTCOME_FAILED: WorkerOutcome
WORKER_OUTCOME_NOT_SENT: WorkerOutcome
WORKER_OUTCOME_STOPPING: WorkerOutcome
ARGUMENT_SOURCE_UNSPECIFIED: ArgumentSource
ARGUMENT_SOURCE_SCHEDULE: ArgumentSource
ARGUMENT_SOURCE_RESULT: ArgumentSource
ARGUMENT_SOURCE_WORKER: ArgumentSource
ARGUMENT_SOURCE_EVENT: ArgumentSource
ARGUMENT_SOURCE_SEALED: ArgumentSource
ATTEMPT_END_UNSPECIFIED: AttemptEnd
ATTEMPT_END_RETRIED: AttemptEnd
ATTEMPT_END_SUCCEEDED: AttemptEnd
ATTEMPT_END_FAILED: AttemptEnd
ATTEMPT_END_REVOKED: AttemptEnd
ATTEMPT_END_REJECTED: AttemptEnd
ATTEMPT_END_LEFT: AttemptEnd

class Task(_message.Message):
    __slots__ = ("name", "task_name", "state", "queue", "worker", "args", "kwargs", "retries", "result", "exception", "traceback", "runtime", "eta", "expires", "parent", "root", "sent_time", "received_time", "started_time", "end_time", "update_time", "run", "exception_type", "exception_message", "revocation", "termination_signal", "custom_state", "stored_state", "group_id", "children", "state_reason", "retry_of", "retried_as", "attempts", "log_link")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TASK_NAME_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    WORKER_FIELD_NUMBER: _ClassVar[int]
    ARGS_FIELD_NUMBER: _ClassVar[int]
    KWARGS_FIELD_NUMBER: _ClassVar[int]
    RETRIES_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    EXCEPTION_FIELD_NUMBER: _ClassVar[int]
    TRACEBACK_FIELD_NUMBER: _ClassVar[int]
    RUNTIME_FIELD_NUMBER: _ClassVar[int]
    ETA_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_FIELD_NUMBER: _ClassVar[int]
    PARENT_FIELD_NUMBER: _ClassVar[int]
    ROOT_FIELD_NUMBER: _ClassVar[int]
    SENT_TIME_FIELD_NUMBER: _ClassVar[int]
    RECEIVED_TIME_FIELD_NUMBER: _ClassVar[int]
    STARTED_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    EXCEPTION_TYPE_FIELD_NUMBER: _ClassVar[int]
    EXCEPTION_MESSAGE_FIELD_NUMBER: _ClassVar[int]
    REVOCATION_FIELD_NUMBER: _ClassVar[int]
    TERMINATION_SIGNAL_FIELD_NUMBER: _ClassVar[int]
    CUSTOM_STATE_FIELD_NUMBER: _ClassVar[int]
    STORED_STATE_FIELD_NUMBER: _ClassVar[int]
    GROUP_ID_FIELD_NUMBER: _ClassVar[int]
    CHILDREN_FIELD_NUMBER: _ClassVar[int]
    STATE_REASON_FIELD_NUMBER: _ClassVar[int]
    RETRY_OF_FIELD_NUMBER: _ClassVar[int]
    RETRIED_AS_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    LOG_LINK_FIELD_NUMBER: _ClassVar[int]
    name: str
    task_name: str
    state: TaskState
    queue: str
    worker: str
    args: str
    kwargs: str
    retries: int
    result: str
    exception: str
    traceback: str
    runtime: _duration_pb2.Duration
    eta: _timestamp_pb2.Timestamp
    expires: _timestamp_pb2.Timestamp
    parent: str
    root: str
    sent_time: _timestamp_pb2.Timestamp
    received_time: _timestamp_pb2.Timestamp
    started_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    update_time: _timestamp_pb2.Timestamp
    run: str
    exception_type: str
    exception_message: str
    revocation: Revocation
    termination_signal: str
    custom_state: str
    stored_state: str
    group_id: str
    children: _containers.RepeatedScalarFieldContainer[str]
    state_reason: str
    retry_of: str
    retried_as: str
    attempts: _containers.RepeatedCompositeFieldContainer[TaskAttempt]
    log_link: str
    def __init__(self, name: _Optional[str] = ..., task_name: _Optional[str] = ..., state: _Optional[_Union[TaskState, str]] = ..., queue: _Optional[str] = ..., worker: _Optional[str] = ..., args: _Optional[str] = ..., kwargs: _Optional[str] = ..., retries: _Optional[int] = ..., result: _Optional[str] = ..., exception: _Optional[str] = ..., traceback: _Optional[str] = ..., runtime: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., eta: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., expires: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., parent: _Optional[str] = ..., root: _Optional[str] = ..., sent_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., received_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., started_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., update_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., run: _Optional[str] = ..., exception_type: _Optional[str] = ..., exception_message: _Optional[str] = ..., revocation: _Optional[_Union[Revocation, str]] = ..., termination_signal: _Optional[str] = ..., custom_state: _Optional[str] = ..., stored_state: _Optional[str] = ..., group_id: _Optional[str] = ..., children: _Optional[_Iterable[str]] = ..., state_reason: _Optional[str] = ..., retry_of: _Optional[str] = ..., retried_as: _Optional[str] = ..., attempts: _Optional[_Iterable[_Union[TaskAttempt, _Mapping]]] = ..., log_link: _Optional[str] = ...) -> None: ...

class GetTaskRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class GetTaskResponse(_message.Message):
    __slots__ = ("task",)
    TASK_FIELD_NUMBER: _ClassVar[int]
    task: Task
    def __init__(self, task: _Optional[_Union[Task, _Mapping]] = ...) -> None: ...

class BatchGetTasksRequest(_message.Message):
    __slots__ = ("names",)
    NAMES_FIELD_NUMBER: _ClassVar[int]
    names: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, names: _Optional[_Iterable[str]] = ...) -> None: ...

class BatchGetTasksResponse(_message.Message):
    __slots__ = ("tasks",)
    TASKS_FIELD_NUMBER: _ClassVar[int]
    tasks: _containers.RepeatedCompositeFieldContainer[Task]
    def __init__(self, tasks: _Optional[_Iterable[_Union[Task, _Mapping]]] = ...) -> None: ...

class ListTasksRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "states", "task_names", "queues", "workers", "exception_types", "text", "start_time", "end_time", "root", "parent")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    TASK_NAMES_FIELD_NUMBER: _ClassVar[int]
    QUEUES_FIELD_NUMBER: _ClassVar[int]
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    EXCEPTION_TYPES_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    ROOT_FIELD_NUMBER: _ClassVar[int]
    PARENT_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    states: _containers.RepeatedScalarFieldContainer[TaskState]
    task_names: _containers.RepeatedScalarFieldContainer[str]
    queues: _containers.RepeatedScalarFieldContainer[str]
    workers: _containers.RepeatedScalarFieldContainer[str]
    exception_types: _containers.RepeatedScalarFieldContainer[str]
    text: str
    start_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    root: str
    parent: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., states: _Optional[_Iterable[_Union[TaskState, str]]] = ..., task_names: _Optional[_Iterable[str]] = ..., queues: _Optional[_Iterable[str]] = ..., workers: _Optional[_Iterable[str]] = ..., exception_types: _Optional[_Iterable[str]] = ..., text: _Optional[str] = ..., start_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., root: _Optional[str] = ..., parent: _Optional[str] = ...) -> None: ...

class ListTasksResponse(_message.Message):
    __slots__ = ("tasks", "next_page_token")
    TASKS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    tasks: _containers.RepeatedCompositeFieldContainer[Task]
    next_page_token: str
    def __init__(self, tasks: _Optional[_Iterable[_Union[Task, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class RevokeTaskRequest(_message.Message):
    __slots__ = ("name", "terminate", "signal")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TERMINATE_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_FIELD_NUMBER: _ClassVar[int]
    name: str
    terminate: bool
    signal: str
    def __init__(self, name: _Optional[str] = ..., terminate: bool = ..., signal: _Optional[str] = ...) -> None: ...

class RevokeTaskResponse(_message.Message):
    __slots__ = ("replies",)
    REPLIES_FIELD_NUMBER: _ClassVar[int]
    replies: _containers.RepeatedCompositeFieldContainer[WorkerReply]
    def __init__(self, replies: _Optional[_Iterable[_Union[WorkerReply, _Mapping]]] = ...) -> None: ...

class WorkerReply(_message.Message):
    __slots__ = ("worker", "outcome", "message")
    WORKER_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    worker: str
    outcome: WorkerOutcome
    message: str
    def __init__(self, worker: _Optional[str] = ..., outcome: _Optional[_Union[WorkerOutcome, str]] = ..., message: _Optional[str] = ...) -> None: ...

class RetryTaskRequest(_message.Message):
    __slots__ = ("name", "queue", "priority", "validate_only", "request_id")
    NAME_FIELD_NUMBER: _ClassVar[int]
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    name: str
    queue: str
    priority: int
    validate_only: bool
    request_id: str
    def __init__(self, name: _Optional[str] = ..., queue: _Optional[str] = ..., priority: _Optional[int] = ..., validate_only: bool = ..., request_id: _Optional[str] = ...) -> None: ...

class RetryTaskResponse(_message.Message):
    __slots__ = ("task", "source")
    TASK_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    task: str
    source: ArgumentSource
    def __init__(self, task: _Optional[str] = ..., source: _Optional[_Union[ArgumentSource, str]] = ...) -> None: ...

class RunTaskRequest(_message.Message):
    __slots__ = ("task_name", "args_json", "kwargs_json", "queue", "priority", "eta", "countdown", "expires", "validate_only", "request_id")
    TASK_NAME_FIELD_NUMBER: _ClassVar[int]
    ARGS_JSON_FIELD_NUMBER: _ClassVar[int]
    KWARGS_JSON_FIELD_NUMBER: _ClassVar[int]
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    ETA_FIELD_NUMBER: _ClassVar[int]
    COUNTDOWN_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    task_name: str
    args_json: str
    kwargs_json: str
    queue: str
    priority: int
    eta: _timestamp_pb2.Timestamp
    countdown: _duration_pb2.Duration
    expires: _timestamp_pb2.Timestamp
    validate_only: bool
    request_id: str
    def __init__(self, task_name: _Optional[str] = ..., args_json: _Optional[str] = ..., kwargs_json: _Optional[str] = ..., queue: _Optional[str] = ..., priority: _Optional[int] = ..., eta: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., countdown: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., expires: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., validate_only: bool = ..., request_id: _Optional[str] = ...) -> None: ...

class RunTaskResponse(_message.Message):
    __slots__ = ("task", "workers")
    TASK_FIELD_NUMBER: _ClassVar[int]
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    task: str
    workers: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, task: _Optional[str] = ..., workers: _Optional[_Iterable[str]] = ...) -> None: ...

class TaskFilter(_message.Message):
    __slots__ = ("states", "task_names", "queues", "workers", "exception_types", "text", "start_time", "end_time", "root", "parent")
    STATES_FIELD_NUMBER: _ClassVar[int]
    TASK_NAMES_FIELD_NUMBER: _ClassVar[int]
    QUEUES_FIELD_NUMBER: _ClassVar[int]
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    EXCEPTION_TYPES_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    ROOT_FIELD_NUMBER: _ClassVar[int]
    PARENT_FIELD_NUMBER: _ClassVar[int]
    states: _containers.RepeatedScalarFieldContainer[TaskState]
    task_names: _containers.RepeatedScalarFieldContainer[str]
    queues: _containers.RepeatedScalarFieldContainer[str]
    workers: _containers.RepeatedScalarFieldContainer[str]
    exception_types: _containers.RepeatedScalarFieldContainer[str]
    text: str
    start_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    root: str
    parent: str
    def __init__(self, states: _Optional[_Iterable[_Union[TaskState, str]]] = ..., task_names: _Optional[_Iterable[str]] = ..., queues: _Optional[_Iterable[str]] = ..., workers: _Optional[_Iterable[str]] = ..., exception_types: _Optional[_Iterable[str]] = ..., text: _Optional[str] = ..., start_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., root: _Optional[str] = ..., parent: _Optional[str] = ...) -> None: ...

class RetryTasksRequest(_message.Message):
    __slots__ = ("filter", "rate", "expected_count", "validate_only", "request_id", "fallback_queue")
    FILTER_FIELD_NUMBER: _ClassVar[int]
    RATE_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_COUNT_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    FALLBACK_QUEUE_FIELD_NUMBER: _ClassVar[int]
    filter: TaskFilter
    rate: float
    expected_count: int
    validate_only: bool
    request_id: str
    fallback_queue: str
    def __init__(self, filter: _Optional[_Union[TaskFilter, _Mapping]] = ..., rate: _Optional[float] = ..., expected_count: _Optional[int] = ..., validate_only: bool = ..., request_id: _Optional[str] = ..., fallback_queue: _Optional[str] = ...) -> None: ...

class ArgumentSourceCount(_message.Message):
    __slots__ = ("source", "count")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    source: ArgumentSource
    count: int
    def __init__(self, source: _Optional[_Union[ArgumentSource, str]] = ..., count: _Optional[int] = ...) -> None: ...

class RetryRefusal(_message.Message):
    __slots__ = ("reason", "count", "example", "message")
    REASON_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    EXAMPLE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    reason: str
    count: int
    example: str
    message: str
    def __init__(self, reason: _Optional[str] = ..., count: _Optional[int] = ..., example: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...

class RetryTasksResponse(_message.Message):
    __slots__ = ("operation", "matched_count", "retryable_count", "sources", "refusals")
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    MATCHED_COUNT_FIELD_NUMBER: _ClassVar[int]
    RETRYABLE_COUNT_FIELD_NUMBER: _ClassVar[int]
    SOURCES_FIELD_NUMBER: _ClassVar[int]
    REFUSALS_FIELD_NUMBER: _ClassVar[int]
    operation: str
    matched_count: int
    retryable_count: int
    sources: _containers.RepeatedCompositeFieldContainer[ArgumentSourceCount]
    refusals: _containers.RepeatedCompositeFieldContainer[RetryRefusal]
    def __init__(self, operation: _Optional[str] = ..., matched_count: _Optional[int] = ..., retryable_count: _Optional[int] = ..., sources: _Optional[_Iterable[_Union[ArgumentSourceCount, _Mapping]]] = ..., refusals: _Optional[_Iterable[_Union[RetryRefusal, _Mapping]]] = ...) -> None: ...

class RevokeTasksRequest(_message.Message):
    __slots__ = ("filter", "terminate", "signal", "expected_count", "validate_only")
    FILTER_FIELD_NUMBER: _ClassVar[int]
    TERMINATE_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_COUNT_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    filter: TaskFilter
    terminate: bool
    signal: str
    expected_count: int
    validate_only: bool
    def __init__(self, filter: _Optional[_Union[TaskFilter, _Mapping]] = ..., terminate: bool = ..., signal: _Optional[str] = ..., expected_count: _Optional[int] = ..., validate_only: bool = ...) -> None: ...

class RevokeTasksResponse(_message.Message):
    __slots__ = ("matched_count", "replies")
    MATCHED_COUNT_FIELD_NUMBER: _ClassVar[int]
    REPLIES_FIELD_NUMBER: _ClassVar[int]
    matched_count: int
    replies: _containers.RepeatedCompositeFieldContainer[WorkerReply]
    def __init__(self, matched_count: _Optional[int] = ..., replies: _Optional[_Iterable[_Union[WorkerReply, _Mapping]]] = ...) -> None: ...

class GroupFailuresRequest(_message.Message):
    __slots__ = ("filter", "page_size")
    FILTER_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    filter: TaskFilter
    page_size: int
    def __init__(self, filter: _Optional[_Union[TaskFilter, _Mapping]] = ..., page_size: _Optional[int] = ...) -> None: ...

class GroupFailuresResponse(_message.Message):
    __slots__ = ("groups", "failure_count", "group_count", "counted_since_time")
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    FAILURE_COUNT_FIELD_NUMBER: _ClassVar[int]
    GROUP_COUNT_FIELD_NUMBER: _ClassVar[int]
    COUNTED_SINCE_TIME_FIELD_NUMBER: _ClassVar[int]
    groups: _containers.RepeatedCompositeFieldContainer[FailureGroup]
    failure_count: int
    group_count: int
    counted_since_time: _timestamp_pb2.Timestamp
    def __init__(self, groups: _Optional[_Iterable[_Union[FailureGroup, _Mapping]]] = ..., failure_count: _Optional[int] = ..., group_count: _Optional[int] = ..., counted_since_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class FailureGroup(_message.Message):
    __slots__ = ("exception_type", "place", "message", "newest_task", "count", "first_time", "last_time", "task_names")
    EXCEPTION_TYPE_FIELD_NUMBER: _ClassVar[int]
    PLACE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    NEWEST_TASK_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    FIRST_TIME_FIELD_NUMBER: _ClassVar[int]
    LAST_TIME_FIELD_NUMBER: _ClassVar[int]
    TASK_NAMES_FIELD_NUMBER: _ClassVar[int]
    exception_type: str
    place: str
    message: str
    newest_task: str
    count: int
    first_time: _timestamp_pb2.Timestamp
    last_time: _timestamp_pb2.Timestamp
    task_names: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, exception_type: _Optional[str] = ..., place: _Optional[str] = ..., message: _Optional[str] = ..., newest_task: _Optional[str] = ..., count: _Optional[int] = ..., first_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., last_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., task_names: _Optional[_Iterable[str]] = ...) -> None: ...

class GetTaskResultRequest(_message.Message):
    __slots__ = ("name", "max_bytes")
    NAME_FIELD_NUMBER: _ClassVar[int]
    MAX_BYTES_FIELD_NUMBER: _ClassVar[int]
    name: str
    max_bytes: int
    def __init__(self, name: _Optional[str] = ..., max_bytes: _Optional[int] = ...) -> None: ...

class GetTaskResultResponse(_message.Message):
    __slots__ = ("result",)
    RESULT_FIELD_NUMBER: _ClassVar[int]
    result: TaskResult
    def __init__(self, result: _Optional[_Union[TaskResult, _Mapping]] = ...) -> None: ...

class TaskResult(_message.Message):
    __slots__ = ("task", "status", "result_json", "traceback", "done_time", "worker", "task_name", "queue", "retries", "args_json", "kwargs_json", "children", "parent", "group_id", "size_bytes", "truncated", "expire_time")
    TASK_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    RESULT_JSON_FIELD_NUMBER: _ClassVar[int]
    TRACEBACK_FIELD_NUMBER: _ClassVar[int]
    DONE_TIME_FIELD_NUMBER: _ClassVar[int]
    WORKER_FIELD_NUMBER: _ClassVar[int]
    TASK_NAME_FIELD_NUMBER: _ClassVar[int]
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    RETRIES_FIELD_NUMBER: _ClassVar[int]
    ARGS_JSON_FIELD_NUMBER: _ClassVar[int]
    KWARGS_JSON_FIELD_NUMBER: _ClassVar[int]
    CHILDREN_FIELD_NUMBER: _ClassVar[int]
    PARENT_FIELD_NUMBER: _ClassVar[int]
    GROUP_ID_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    TRUNCATED_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    task: str
    status: str
    result_json: str
    traceback: str
    done_time: _timestamp_pb2.Timestamp
    worker: str
    task_name: str
    queue: str
    retries: int
    args_json: str
    kwargs_json: str
    children: _containers.RepeatedScalarFieldContainer[str]
    parent: str
    group_id: str
    size_bytes: int
    truncated: bool
    expire_time: _timestamp_pb2.Timestamp
    def __init__(self, task: _Optional[str] = ..., status: _Optional[str] = ..., result_json: _Optional[str] = ..., traceback: _Optional[str] = ..., done_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., worker: _Optional[str] = ..., task_name: _Optional[str] = ..., queue: _Optional[str] = ..., retries: _Optional[int] = ..., args_json: _Optional[str] = ..., kwargs_json: _Optional[str] = ..., children: _Optional[_Iterable[str]] = ..., parent: _Optional[str] = ..., group_id: _Optional[str] = ..., size_bytes: _Optional[int] = ..., truncated: bool = ..., expire_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class TaskAttempt(_message.Message):
    __slots__ = ("retries", "queue", "worker", "received_time", "started_time", "end_time", "end", "exception_type", "exception_message")
    RETRIES_FIELD_NUMBER: _ClassVar[int]
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    WORKER_FIELD_NUMBER: _ClassVar[int]
    RECEIVED_TIME_FIELD_NUMBER: _ClassVar[int]
    STARTED_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    EXCEPTION_TYPE_FIELD_NUMBER: _ClassVar[int]
    EXCEPTION_MESSAGE_FIELD_NUMBER: _ClassVar[int]
    retries: int
    queue: str
    worker: str
    received_time: _timestamp_pb2.Timestamp
    started_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    end: AttemptEnd
    exception_type: str
    exception_message: str
    def __init__(self, retries: _Optional[int] = ..., queue: _Optional[str] = ..., worker: _Optional[str] = ..., received_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., started_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., end: _Optional[_Union[AttemptEnd, str]] = ..., exception_type: _Optional[str] = ..., exception_message: _Optional[str] = ...) -> None: ...

class GetWorkflowRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class GetWorkflowResponse(_message.Message):
    __slots__ = ("workflow",)
    WORKFLOW_FIELD_NUMBER: _ClassVar[int]
    workflow: Workflow
    def __init__(self, workflow: _Optional[_Union[Workflow, _Mapping]] = ...) -> None: ...

class Workflow(_message.Message):
    __slots__ = ("root", "tasks", "edges", "groups", "parents", "children", "siblings", "truncated", "results_read")
    ROOT_FIELD_NUMBER: _ClassVar[int]
    TASKS_FIELD_NUMBER: _ClassVar[int]
    EDGES_FIELD_NUMBER: _ClassVar[int]
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    PARENTS_FIELD_NUMBER: _ClassVar[int]
    CHILDREN_FIELD_NUMBER: _ClassVar[int]
    SIBLINGS_FIELD_NUMBER: _ClassVar[int]
    TRUNCATED_FIELD_NUMBER: _ClassVar[int]
    RESULTS_READ_FIELD_NUMBER: _ClassVar[int]
    root: str
    tasks: _containers.RepeatedCompositeFieldContainer[WorkflowTask]
    edges: _containers.RepeatedCompositeFieldContainer[WorkflowEdge]
    groups: _containers.RepeatedCompositeFieldContainer[WorkflowGroup]
    parents: _containers.RepeatedScalarFieldContainer[str]
    children: _containers.RepeatedScalarFieldContainer[str]
    siblings: _containers.RepeatedScalarFieldContainer[str]
    truncated: bool
    results_read: bool
    def __init__(self, root: _Optional[str] = ..., tasks: _Optional[_Iterable[_Union[WorkflowTask, _Mapping]]] = ..., edges: _Optional[_Iterable[_Union[WorkflowEdge, _Mapping]]] = ..., groups: _Optional[_Iterable[_Union[WorkflowGroup, _Mapping]]] = ..., parents: _Optional[_Iterable[str]] = ..., children: _Optional[_Iterable[str]] = ..., siblings: _Optional[_Iterable[str]] = ..., truncated: bool = ..., results_read: bool = ...) -> None: ...

class WorkflowTask(_message.Message):
    __slots__ = ("task", "task_name", "state", "stored_state", "queue", "worker", "retries", "group_id", "first_time", "started_time", "end_time", "exception_type")
    TASK_FIELD_NUMBER: _ClassVar[int]
    TASK_NAME_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    STORED_STATE_FIELD_NUMBER: _ClassVar[int]
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    WORKER_FIELD_NUMBER: _ClassVar[int]
    RETRIES_FIELD_NUMBER: _ClassVar[int]
    GROUP_ID_FIELD_NUMBER: _ClassVar[int]
    FIRST_TIME_FIELD_NUMBER: _ClassVar[int]
    STARTED_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    EXCEPTION_TYPE_FIELD_NUMBER: _ClassVar[int]
    task: str
    task_name: str
    state: TaskState
    stored_state: str
    queue: str
    worker: str
    retries: int
    group_id: str
    first_time: _timestamp_pb2.Timestamp
    started_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    exception_type: str
    def __init__(self, task: _Optional[str] = ..., task_name: _Optional[str] = ..., state: _Optional[_Union[TaskState, str]] = ..., stored_state: _Optional[str] = ..., queue: _Optional[str] = ..., worker: _Optional[str] = ..., retries: _Optional[int] = ..., group_id: _Optional[str] = ..., first_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., started_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., exception_type: _Optional[str] = ...) -> None: ...

class WorkflowEdge(_message.Message):
    __slots__ = ("caller", "called")
    CALLER_FIELD_NUMBER: _ClassVar[int]
    CALLED_FIELD_NUMBER: _ClassVar[int]
    caller: str
    called: str
    def __init__(self, caller: _Optional[str] = ..., called: _Optional[str] = ...) -> None: ...

class WorkflowGroup(_message.Message):
    __slots__ = ("group_id", "tasks")
    GROUP_ID_FIELD_NUMBER: _ClassVar[int]
    TASKS_FIELD_NUMBER: _ClassVar[int]
    group_id: str
    tasks: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, group_id: _Optional[str] = ..., tasks: _Optional[_Iterable[str]] = ...) -> None: ...
