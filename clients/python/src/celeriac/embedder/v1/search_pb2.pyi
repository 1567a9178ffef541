from celeriac.access.v1 import policy_pb2 as _policy_pb2
from celeriac.embedder.v1 import messages_pb2 as _messages_pb2
from google.api import annotations_pb2 as _annotations_pb2
from google.api import client_pb2 as _client_pb2
from google.api import field_behavior_pb2 as _field_behavior_pb2
from google.api import resource_pb2 as _resource_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SearchMessagesRequest(_message.Message):
    __slots__ = ("text", "vector", "k", "min_score", "conversation", "start_time", "end_time", "roles")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    VECTOR_FIELD_NUMBER: _ClassVar[int]
    K_FIELD_NUMBER: _ClassVar[int]
    MIN_SCORE_FIELD_NUMBER: _ClassVar[int]
    CONVERSATION_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    ROLES_FIELD_NUMBER: _ClassVar[int]
    text: str
    vector: bytes
    k: int
    min_score: float
    conversation: str
    start_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    roles: _containers.RepeatedScalarFieldContainer[_messages_pb2.MessageRole]
    def __init__(self, text: _Optional[str] = ..., vector: _Optional[bytes] = ..., k: _Optional[int] = ..., min_score: _Optional[float] = ..., conversation: _Optional[str] = ..., start_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., roles: _Optional[_Iterable[_Union[_messages_pb2.MessageRole, str]]] = ...) -> None: ...

class SearchMessagesResponse(_message.Message):
    __slots__ = ("results",)
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[FoundMessage]
    def __init__(self, results: _Optional[_Iterable[_Union[FoundMessage, _Mapping]]] = ...) -> None: ...

class FoundMessage(_message.Message):
    __slots__ = ("message", "score")
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    message: _messages_pb2.Message
    score: float
    def __init__(self, message: _Optional[_Union[_messages_pb2.Message, _Mapping]] = ..., score: _Optional[float] = ...) -> None: ...
