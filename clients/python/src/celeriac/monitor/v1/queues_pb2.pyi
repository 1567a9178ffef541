from celeriac.access.v1 import policy_pb2 as _policy_pb2
from celeriac.monitor.v1 import tasks_pb2 as _tasks_pb2
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

class Queue(_message.Message):
    __slots__ = ("name", "length", "by_priority", "unacknowledged", "unacknowledged_estimated", "waiting_for_eta", "consumers", "consumer_count", "oldest_sent_time", "arrivals_per_second", "deliveries_per_second", "time_to_empty", "pause")
    NAME_FIELD_NUMBER: _ClassVar[int]
    LENGTH_FIELD_NUMBER: _ClassVar[int]
    BY_PRIORITY_FIELD_NUMBER: _ClassVar[int]
    UNACKNOWLEDGED_FIELD_NUMBER: _ClassVar[int]
    UNACKNOWLEDGED_ESTIMATED_FIELD_NUMBER: _ClassVar[int]
    WAITING_FOR_ETA_FIELD_NUMBER: _ClassVar[int]
    CONSUMERS_FIELD_NUMBER: _ClassVar[int]
    CONSUMER_COUNT_FIELD_NUMBER: _ClassVar[int]
    OLDEST_SENT_TIME_FIELD_NUMBER: _ClassVar[int]
    ARRIVALS_PER_SECOND_FIELD_NUMBER: _ClassVar[int]
    DELIVERIES_PER_SECOND_FIELD_NUMBER: _ClassVar[int]
    TIME_TO_EMPTY_FIELD_NUMBER: _ClassVar[int]
    PAUSE_FIELD_NUMBER: _ClassVar[int]
    name: str
    length: int
    by_priority: _containers.RepeatedCompositeFieldContainer[PriorityLength]
    unacknowledged: int
    unacknowledged_estimated: bool
    waiting_for_eta: int
    consumers: _containers.RepeatedScalarFieldContainer[str]
    consumer_count: int
    oldest_sent_time: _timestamp_pb2.Timestamp
    arrivals_per_second: float
    deliveries_per_second: float
    time_to_empty: _duration_pb2.Duration
    pause: QueuePause
    def __init__(self, name: _Optional[str] = ..., length: _Optional[int] = ..., by_priority: _Optional[_Iterable[_Union[PriorityLength, _Mapping]]] = ..., unacknowledged: _Optional[int] = ..., unacknowledged_estimated: bool = ..., waiting_for_eta: _Optional[int] = ..., consumers: _Optional[_Iterable[str]] = ..., consumer_count: _Optional[int] = ..., oldest_sent_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., arrivals_per_second: _Optional[float] = ..., deliveries_per_second: _Optional[float] = ..., time_to_empty: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., pause: _Optional[_Union[QueuePause, _Mapping]] = ...) -> None: ...

class QueuePause(_message.Message):
    __slots__ = ("pause_time", "subject", "reason")
    PAUSE_TIME_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    pause_time: _timestamp_pb2.Timestamp
    subject: str
    reason: str
    def __init__(self, pause_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., subject: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class PriorityLength(_message.Message):
    __slots__ = ("priority", "length")
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    LENGTH_FIELD_NUMBER: _ClassVar[int]
    priority: int
    length: int
    def __init__(self, priority: _Optional[int] = ..., length: _Optional[int] = ...) -> None: ...

class ListQueuesRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListQueuesResponse(_message.Message):
    __slots__ = ("queues", "next_page_token")
    QUEUES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    queues: _containers.RepeatedCompositeFieldContainer[Queue]
    next_page_token: str
    def __init__(self, queues: _Optional[_Iterable[_Union[Queue, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class GetQueueRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class GetQueueResponse(_message.Message):
    __slots__ = ("queue",)
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    queue: Queue
    def __init__(self, queue: _Optional[_Union[Queue, _Mapping]] = ...) -> None: ...

class QueueMessage(_message.Message):
    __slots__ = ("task", "task_name", "etag", "priority", "eta", "expires", "retries", "size_bytes", "args", "kwargs", "redelivered")
    TASK_FIELD_NUMBER: _ClassVar[int]
    TASK_NAME_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    ETA_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_FIELD_NUMBER: _ClassVar[int]
    RETRIES_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    ARGS_FIELD_NUMBER: _ClassVar[int]
    KWARGS_FIELD_NUMBER: _ClassVar[int]
    REDELIVERED_FIELD_NUMBER: _ClassVar[int]
    task: str
    task_name: str
    etag: str
    priority: int
    eta: _timestamp_pb2.Timestamp
    expires: _timestamp_pb2.Timestamp
    retries: int
    size_bytes: int
    args: str
    kwargs: str
    redelivered: bool
    def __init__(self, task: _Optional[str] = ..., task_name: _Optional[str] = ..., etag: _Optional[str] = ..., priority: _Optional[int] = ..., eta: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., expires: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., retries: _Optional[int] = ..., size_bytes: _Optional[int] = ..., args: _Optional[str] = ..., kwargs: _Optional[str] = ..., redelivered: bool = ...) -> None: ...

class PeekQueueRequest(_message.Message):
    __slots__ = ("name", "count")
    NAME_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    name: str
    count: int
    def __init__(self, name: _Optional[str] = ..., count: _Optional[int] = ...) -> None: ...

class PeekQueueResponse(_message.Message):
    __slots__ = ("messages", "length")
    MESSAGES_FIELD_NUMBER: _ClassVar[int]
    LENGTH_FIELD_NUMBER: _ClassVar[int]
    messages: _containers.RepeatedCompositeFieldContainer[QueueMessage]
    length: int
    def __init__(self, messages: _Optional[_Iterable[_Union[QueueMessage, _Mapping]]] = ..., length: _Optional[int] = ...) -> None: ...

class DeleteQueueMessageRequest(_message.Message):
    __slots__ = ("name", "task", "etag", "validate_only")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    name: str
    task: str
    etag: str
    validate_only: bool
    def __init__(self, name: _Optional[str] = ..., task: _Optional[str] = ..., etag: _Optional[str] = ..., validate_only: bool = ...) -> None: ...

class DeleteQueueMessageResponse(_message.Message):
    __slots__ = ("deleted",)
    DELETED_FIELD_NUMBER: _ClassVar[int]
    deleted: QueueMessage
    def __init__(self, deleted: _Optional[_Union[QueueMessage, _Mapping]] = ...) -> None: ...

class MoveMessagesRequest(_message.Message):
    __slots__ = ("name", "destination_queue", "count", "task_names", "tasks", "validate_only")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DESTINATION_QUEUE_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    TASK_NAMES_FIELD_NUMBER: _ClassVar[int]
    TASKS_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    name: str
    destination_queue: str
    count: int
    task_names: _containers.RepeatedScalarFieldContainer[str]
    tasks: _containers.RepeatedScalarFieldContainer[str]
    validate_only: bool
    def __init__(self, name: _Optional[str] = ..., destination_queue: _Optional[str] = ..., count: _Optional[int] = ..., task_names: _Optional[_Iterable[str]] = ..., tasks: _Optional[_Iterable[str]] = ..., validate_only: bool = ...) -> None: ...

class MoveMessagesResponse(_message.Message):
    __slots__ = ("moved_count", "complete")
    MOVED_COUNT_FIELD_NUMBER: _ClassVar[int]
    COMPLETE_FIELD_NUMBER: _ClassVar[int]
    moved_count: int
    complete: bool
    def __init__(self, moved_count: _Optional[int] = ..., complete: bool = ...) -> None: ...

class PurgeQueueRequest(_message.Message):
    __slots__ = ("name", "expected_length", "allow_newer", "count", "without_undo", "validate_only", "request_id")
    NAME_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_LENGTH_FIELD_NUMBER: _ClassVar[int]
    ALLOW_NEWER_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    WITHOUT_UNDO_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    name: str
    expected_length: int
    allow_newer: bool
    count: int
    without_undo: bool
    validate_only: bool
    request_id: str
    def __init__(self, name: _Optional[str] = ..., expected_length: _Optional[int] = ..., allow_newer: bool = ..., count: _Optional[int] = ..., without_undo: bool = ..., validate_only: bool = ..., request_id: _Optional[str] = ...) -> None: ...

class PurgeQueueResponse(_message.Message):
    __slots__ = ("purge",)
    PURGE_FIELD_NUMBER: _ClassVar[int]
    purge: Purge
    def __init__(self, purge: _Optional[_Union[Purge, _Mapping]] = ...) -> None: ...

class Purge(_message.Message):
    __slots__ = ("name", "queue", "purged_count", "by_priority", "size_bytes", "purge_time", "expire_time", "subject")
    NAME_FIELD_NUMBER: _ClassVar[int]
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    PURGED_COUNT_FIELD_NUMBER: _ClassVar[int]
    BY_PRIORITY_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    PURGE_TIME_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    name: str
    queue: str
    purged_count: int
    by_priority: _containers.RepeatedCompositeFieldContainer[PriorityLength]
    size_bytes: int
    purge_time: _timestamp_pb2.Timestamp
    expire_time: _timestamp_pb2.Timestamp
    subject: str
    def __init__(self, name: _Optional[str] = ..., queue: _Optional[str] = ..., purged_count: _Optional[int] = ..., by_priority: _Optional[_Iterable[_Union[PriorityLength, _Mapping]]] = ..., size_bytes: _Optional[int] = ..., purge_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., expire_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., subject: _Optional[str] = ...) -> None: ...

class ListPurgesRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListPurgesResponse(_message.Message):
    __slots__ = ("purges", "next_page_token")
    PURGES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    purges: _containers.RepeatedCompositeFieldContainer[Purge]
    next_page_token: str
    def __init__(self, purges: _Optional[_Iterable[_Union[Purge, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class UndoPurgeRequest(_message.Message):
    __slots__ = ("name", "validate_only")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    name: str
    validate_only: bool
    def __init__(self, name: _Optional[str] = ..., validate_only: bool = ...) -> None: ...

class UndoPurgeResponse(_message.Message):
    __slots__ = ("restored_count", "queue")
    RESTORED_COUNT_FIELD_NUMBER: _ClassVar[int]
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    restored_count: int
    queue: str
    def __init__(self, restored_count: _Optional[int] = ..., queue: _Optional[str] = ...) -> None: ...

class PauseQueueRequest(_message.Message):
    __slots__ = ("name", "reason", "validate_only")
    NAME_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    name: str
    reason: str
    validate_only: bool
    def __init__(self, name: _Optional[str] = ..., reason: _Optional[str] = ..., validate_only: bool = ...) -> None: ...

class PauseQueueResponse(_message.Message):
    __slots__ = ("pause", "replies")
    PAUSE_FIELD_NUMBER: _ClassVar[int]
    REPLIES_FIELD_NUMBER: _ClassVar[int]
    pause: QueuePause
    replies: _containers.RepeatedCompositeFieldContainer[_tasks_pb2.WorkerReply]
    def __init__(self, pause: _Optional[_Union[QueuePause, _Mapping]] = ..., replies: _Optional[_Iterable[_Union[_tasks_pb2.WorkerReply, _Mapping]]] = ...) -> None: ...

class ResumeQueueRequest(_message.Message):
    __slots__ = ("name", "validate_only")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    name: str
    validate_only: bool
    def __init__(self, name: _Optional[str] = ..., validate_only: bool = ...) -> None: ...

class ResumeQueueResponse(_message.Message):
    __slots__ = ("replies",)
    REPLIES_FIELD_NUMBER: _ClassVar[int]
    replies: _containers.RepeatedCompositeFieldContainer[_tasks_pb2.WorkerReply]
    def __init__(self, replies: _Optional[_Iterable[_Union[_tasks_pb2.WorkerReply, _Mapping]]] = ...) -> None: ...
