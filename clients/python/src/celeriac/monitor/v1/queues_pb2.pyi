from celeriac.access.v1 import policy_pb2 as _policy_pb2
from google.api import annotations_pb2 as _annotations_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Queue(_message.Message):
    __slots__ = ("name", "length", "by_priority", "unacknowledged", "unacknowledged_estimated")
    NAME_FIELD_NUMBER: _ClassVar[int]
    LENGTH_FIELD_NUMBER: _ClassVar[int]
    BY_PRIORITY_FIELD_NUMBER: _ClassVar[int]
    UNACKNOWLEDGED_FIELD_NUMBER: _ClassVar[int]
    UNACKNOWLEDGED_ESTIMATED_FIELD_NUMBER: _ClassVar[int]
    name: str
    length: int
    by_priority: _containers.RepeatedCompositeFieldContainer[PriorityLength]
    unacknowledged: int
    unacknowledged_estimated: bool
    def __init__(self, name: _Optional[str] = ..., length: _Optional[int] = ..., by_priority: _Optional[_Iterable[_Union[PriorityLength, _Mapping]]] = ..., unacknowledged: _Optional[int] = ..., unacknowledged_estimated: bool = ...) -> None: ...

class PriorityLength(_message.Message):
    __slots__ = ("priority", "length")
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    LENGTH_FIELD_NUMBER: _ClassVar[int]
    priority: int
    length: int
    def __init__(self, priority: _Optional[int] = ..., length: _Optional[int] = ...) -> None: ...

class ListQueuesRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListQueuesResponse(_message.Message):
    __slots__ = ("queues",)
    QUEUES_FIELD_NUMBER: _ClassVar[int]
    queues: _containers.RepeatedCompositeFieldContainer[Queue]
    def __init__(self, queues: _Optional[_Iterable[_Union[Queue, _Mapping]]] = ...) -> None: ...
