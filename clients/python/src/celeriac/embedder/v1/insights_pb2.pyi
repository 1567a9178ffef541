from celeriac.access.v1 import policy_pb2 as _policy_pb2
from celeriac.embedder.v1 import messages_pb2 as _messages_pb2
from celeriac.operations.v1 import operations_pb2 as _operations_pb2
from google.api import annotations_pb2 as _annotations_pb2
from google.api import client_pb2 as _client_pb2
from google.api import field_behavior_pb2 as _field_behavior_pb2
from google.api import resource_pb2 as _resource_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class AnalysisMethod(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ANALYSIS_METHOD_UNSPECIFIED: _ClassVar[AnalysisMethod]
    ANALYSIS_METHOD_COMMUNITIES: _ClassVar[AnalysisMethod]
    ANALYSIS_METHOD_K_MEANS: _ClassVar[AnalysisMethod]
    ANALYSIS_METHOD_DBSCAN: _ClassVar[AnalysisMethod]

class UngroupedKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    UNGROUPED_KIND_UNSPECIFIED: _ClassVar[UngroupedKind]
    UNGROUPED_KIND_UNLIKE_OTHERS: _ClassVar[UngroupedKind]
    UNGROUPED_KIND_SMALL_TALK: _ClassVar[UngroupedKind]
ANALYSIS_METHOD_UNSPECIFIED: AnalysisMethod
ANALYSIS_METHOD_COMMUNITIES: AnalysisMethod
ANALYSIS_METHOD_K_MEANS: AnalysisMethod
ANALYSIS_METHOD_DBSCAN: AnalysisMethod
UNGROUPED_KIND_UNSPECIFIED: UngroupedKind
UNGROUPED_KIND_UNLIKE_OTHERS: UngroupedKind
UNGROUPED_KIND_SMALL_TALK: UngroupedKind

class Analysis(_message.Message):
    __slots__ = ("create_time", "method", "model", "question_count", "cluster_count", "unlike_others_count", "small_talk_count")
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    QUESTION_COUNT_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_COUNT_FIELD_NUMBER: _ClassVar[int]
    UNLIKE_OTHERS_COUNT_FIELD_NUMBER: _ClassVar[int]
    SMALL_TALK_COUNT_FIELD_NUMBER: _ClassVar[int]
    create_time: _timestamp_pb2.Timestamp
    method: AnalysisMethod
    model: str
    question_count: int
    cluster_count: int
    unlike_others_count: int
    small_talk_count: int
    def __init__(self, create_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., method: _Optional[_Union[AnalysisMethod, str]] = ..., model: _Optional[str] = ..., question_count: _Optional[int] = ..., cluster_count: _Optional[int] = ..., unlike_others_count: _Optional[int] = ..., small_talk_count: _Optional[int] = ...) -> None: ...

class LanguageCount(_message.Message):
    __slots__ = ("language", "count")
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    language: str
    count: int
    def __init__(self, language: _Optional[str] = ..., count: _Optional[int] = ...) -> None: ...

class DayCount(_message.Message):
    __slots__ = ("day", "count")
    DAY_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    day: str
    count: int
    def __init__(self, day: _Optional[str] = ..., count: _Optional[int] = ...) -> None: ...

class Cluster(_message.Message):
    __slots__ = ("name", "display_name", "named_by", "title", "keywords", "size", "examples", "languages", "first_seen_time")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    NAMED_BY_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    KEYWORDS_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    EXAMPLES_FIELD_NUMBER: _ClassVar[int]
    LANGUAGES_FIELD_NUMBER: _ClassVar[int]
    FIRST_SEEN_TIME_FIELD_NUMBER: _ClassVar[int]
    name: str
    display_name: str
    named_by: str
    title: str
    keywords: _containers.RepeatedScalarFieldContainer[str]
    size: int
    examples: _containers.RepeatedScalarFieldContainer[str]
    languages: _containers.RepeatedCompositeFieldContainer[LanguageCount]
    first_seen_time: _timestamp_pb2.Timestamp
    def __init__(self, name: _Optional[str] = ..., display_name: _Optional[str] = ..., named_by: _Optional[str] = ..., title: _Optional[str] = ..., keywords: _Optional[_Iterable[str]] = ..., size: _Optional[int] = ..., examples: _Optional[_Iterable[str]] = ..., languages: _Optional[_Iterable[_Union[LanguageCount, _Mapping]]] = ..., first_seen_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ListHotQuestionsRequest(_message.Message):
    __slots__ = ("days", "page_size", "page_token", "periods")
    DAYS_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    PERIODS_FIELD_NUMBER: _ClassVar[int]
    days: int
    page_size: int
    page_token: str
    periods: int
    def __init__(self, days: _Optional[int] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., periods: _Optional[int] = ...) -> None: ...

class ListHotQuestionsResponse(_message.Message):
    __slots__ = ("questions", "analysis_time", "next_page_token", "analysis")
    QUESTIONS_FIELD_NUMBER: _ClassVar[int]
    ANALYSIS_TIME_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    ANALYSIS_FIELD_NUMBER: _ClassVar[int]
    questions: _containers.RepeatedCompositeFieldContainer[HotQuestion]
    analysis_time: _timestamp_pb2.Timestamp
    next_page_token: str
    analysis: Analysis
    def __init__(self, questions: _Optional[_Iterable[_Union[HotQuestion, _Mapping]]] = ..., analysis_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., next_page_token: _Optional[str] = ..., analysis: _Optional[_Union[Analysis, _Mapping]] = ...) -> None: ...

class HotQuestion(_message.Message):
    __slots__ = ("title", "keywords", "count", "previous_count", "size", "cluster", "period_counts")
    TITLE_FIELD_NUMBER: _ClassVar[int]
    KEYWORDS_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_COUNT_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    PERIOD_COUNTS_FIELD_NUMBER: _ClassVar[int]
    title: str
    keywords: _containers.RepeatedScalarFieldContainer[str]
    count: int
    previous_count: int
    size: int
    cluster: Cluster
    period_counts: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, title: _Optional[str] = ..., keywords: _Optional[_Iterable[str]] = ..., count: _Optional[int] = ..., previous_count: _Optional[int] = ..., size: _Optional[int] = ..., cluster: _Optional[_Union[Cluster, _Mapping]] = ..., period_counts: _Optional[_Iterable[int]] = ...) -> None: ...

class ListClustersRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListClustersResponse(_message.Message):
    __slots__ = ("clusters", "next_page_token", "analysis")
    CLUSTERS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    ANALYSIS_FIELD_NUMBER: _ClassVar[int]
    clusters: _containers.RepeatedCompositeFieldContainer[Cluster]
    next_page_token: str
    analysis: Analysis
    def __init__(self, clusters: _Optional[_Iterable[_Union[Cluster, _Mapping]]] = ..., next_page_token: _Optional[str] = ..., analysis: _Optional[_Union[Analysis, _Mapping]] = ...) -> None: ...

class GetClusterRequest(_message.Message):
    __slots__ = ("name", "page_size", "page_token", "days")
    NAME_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    DAYS_FIELD_NUMBER: _ClassVar[int]
    name: str
    page_size: int
    page_token: str
    days: int
    def __init__(self, name: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., days: _Optional[int] = ...) -> None: ...

class GetClusterResponse(_message.Message):
    __slots__ = ("cluster", "members", "next_page_token", "day_counts")
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    MEMBERS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    DAY_COUNTS_FIELD_NUMBER: _ClassVar[int]
    cluster: Cluster
    members: _containers.RepeatedCompositeFieldContainer[_messages_pb2.Message]
    next_page_token: str
    day_counts: _containers.RepeatedCompositeFieldContainer[DayCount]
    def __init__(self, cluster: _Optional[_Union[Cluster, _Mapping]] = ..., members: _Optional[_Iterable[_Union[_messages_pb2.Message, _Mapping]]] = ..., next_page_token: _Optional[str] = ..., day_counts: _Optional[_Iterable[_Union[DayCount, _Mapping]]] = ...) -> None: ...

class ListUngroupedQuestionsRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "kinds")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    KINDS_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    kinds: _containers.RepeatedScalarFieldContainer[UngroupedKind]
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., kinds: _Optional[_Iterable[_Union[UngroupedKind, str]]] = ...) -> None: ...

class UngroupedQuestion(_message.Message):
    __slots__ = ("message", "kind")
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    message: _messages_pb2.Message
    kind: UngroupedKind
    def __init__(self, message: _Optional[_Union[_messages_pb2.Message, _Mapping]] = ..., kind: _Optional[_Union[UngroupedKind, str]] = ...) -> None: ...

class ListUngroupedQuestionsResponse(_message.Message):
    __slots__ = ("questions", "next_page_token")
    QUESTIONS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    questions: _containers.RepeatedCompositeFieldContainer[UngroupedQuestion]
    next_page_token: str
    def __init__(self, questions: _Optional[_Iterable[_Union[UngroupedQuestion, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class AssignQuestionRequest(_message.Message):
    __slots__ = ("text",)
    TEXT_FIELD_NUMBER: _ClassVar[int]
    text: str
    def __init__(self, text: _Optional[str] = ...) -> None: ...

class NearCluster(_message.Message):
    __slots__ = ("cluster", "score")
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    cluster: Cluster
    score: float
    def __init__(self, cluster: _Optional[_Union[Cluster, _Mapping]] = ..., score: _Optional[float] = ...) -> None: ...

class AssignQuestionResponse(_message.Message):
    __slots__ = ("cluster", "small_talk", "nearest")
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    SMALL_TALK_FIELD_NUMBER: _ClassVar[int]
    NEAREST_FIELD_NUMBER: _ClassVar[int]
    cluster: Cluster
    small_talk: bool
    nearest: _containers.RepeatedCompositeFieldContainer[NearCluster]
    def __init__(self, cluster: _Optional[_Union[Cluster, _Mapping]] = ..., small_talk: bool = ..., nearest: _Optional[_Iterable[_Union[NearCluster, _Mapping]]] = ...) -> None: ...

class RunAnalysisRequest(_message.Message):
    __slots__ = ("method", "cluster_count", "request_id")
    METHOD_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_COUNT_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    method: AnalysisMethod
    cluster_count: int
    request_id: str
    def __init__(self, method: _Optional[_Union[AnalysisMethod, str]] = ..., cluster_count: _Optional[int] = ..., request_id: _Optional[str] = ...) -> None: ...

class RunAnalysisResponse(_message.Message):
    __slots__ = ("operation",)
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    operation: _operations_pb2.Operation
    def __init__(self, operation: _Optional[_Union[_operations_pb2.Operation, _Mapping]] = ...) -> None: ...

class NameClusterRequest(_message.Message):
    __slots__ = ("name", "display_name")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    display_name: str
    def __init__(self, name: _Optional[str] = ..., display_name: _Optional[str] = ...) -> None: ...

class NameClusterResponse(_message.Message):
    __slots__ = ("cluster",)
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    cluster: Cluster
    def __init__(self, cluster: _Optional[_Union[Cluster, _Mapping]] = ...) -> None: ...
