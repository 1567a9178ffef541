from celeriac.access.v1 import policy_pb2 as _policy_pb2
from google.api import annotations_pb2 as _annotations_pb2
from google.api import client_pb2 as _client_pb2
from google.api import field_behavior_pb2 as _field_behavior_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ListHotQuestionsRequest(_message.Message):
    __slots__ = ("days", "page_size", "page_token")
    DAYS_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    days: int
    page_size: int
    page_token: str
    def __init__(self, days: _Optional[int] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListHotQuestionsResponse(_message.Message):
    __slots__ = ("questions", "analysis_time", "next_page_token")
    QUESTIONS_FIELD_NUMBER: _ClassVar[int]
    ANALYSIS_TIME_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    questions: _containers.RepeatedCompositeFieldContainer[HotQuestion]
    analysis_time: _timestamp_pb2.Timestamp
    next_page_token: str
    def __init__(self, questions: _Optional[_Iterable[_Union[HotQuestion, _Mapping]]] = ..., analysis_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class HotQuestion(_message.Message):
    __slots__ = ("title", "keywords", "count", "previous_count", "size")
    TITLE_FIELD_NUMBER: _ClassVar[int]
    KEYWORDS_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_COUNT_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    title: str
    keywords: _containers.RepeatedScalarFieldContainer[str]
    count: int
    previous_count: int
    size: int
    def __init__(self, title: _Optional[str] = ..., keywords: _Optional[_Iterable[str]] = ..., count: _Optional[int] = ..., previous_count: _Optional[int] = ..., size: _Optional[int] = ...) -> None: ...
