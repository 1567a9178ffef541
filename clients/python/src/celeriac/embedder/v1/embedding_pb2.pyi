from celeriac.access.v1 import policy_pb2 as _policy_pb2
from google.api import annotations_pb2 as _annotations_pb2
from google.api import client_pb2 as _client_pb2
from google.api import field_behavior_pb2 as _field_behavior_pb2
from google.api import resource_pb2 as _resource_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class InputType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    INPUT_TYPE_UNSPECIFIED: _ClassVar[InputType]
    INPUT_TYPE_QUERY: _ClassVar[InputType]
    INPUT_TYPE_PASSAGE: _ClassVar[InputType]

class LongTexts(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LONG_TEXTS_UNSPECIFIED: _ClassVar[LongTexts]
    LONG_TEXTS_TRUNCATE: _ClassVar[LongTexts]
    LONG_TEXTS_REFUSE: _ClassVar[LongTexts]

class Pooling(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    POOLING_UNSPECIFIED: _ClassVar[Pooling]
    POOLING_MEAN: _ClassVar[Pooling]
    POOLING_CLS: _ClassVar[Pooling]
    POOLING_LAST_TOKEN: _ClassVar[Pooling]
INPUT_TYPE_UNSPECIFIED: InputType
INPUT_TYPE_QUERY: InputType
INPUT_TYPE_PASSAGE: InputType
LONG_TEXTS_UNSPECIFIED: LongTexts
LONG_TEXTS_TRUNCATE: LongTexts
LONG_TEXTS_REFUSE: LongTexts
POOLING_UNSPECIFIED: Pooling
POOLING_MEAN: Pooling
POOLING_CLS: Pooling
POOLING_LAST_TOKEN: Pooling

class EmbedRequest(_message.Message):
    __slots__ = ("texts", "input_type", "long_texts")
    TEXTS_FIELD_NUMBER: _ClassVar[int]
    INPUT_TYPE_FIELD_NUMBER: _ClassVar[int]
    LONG_TEXTS_FIELD_NUMBER: _ClassVar[int]
    texts: _containers.RepeatedScalarFieldContainer[str]
    input_type: InputType
    long_texts: LongTexts
    def __init__(self, texts: _Optional[_Iterable[str]] = ..., input_type: _Optional[_Union[InputType, str]] = ..., long_texts: _Optional[_Union[LongTexts, str]] = ...) -> None: ...

class EmbedResponse(_message.Message):
    __slots__ = ("vectors", "dimension", "token_counts", "truncated_texts", "model")
    VECTORS_FIELD_NUMBER: _ClassVar[int]
    DIMENSION_FIELD_NUMBER: _ClassVar[int]
    TOKEN_COUNTS_FIELD_NUMBER: _ClassVar[int]
    TRUNCATED_TEXTS_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    vectors: bytes
    dimension: int
    token_counts: _containers.RepeatedScalarFieldContainer[int]
    truncated_texts: _containers.RepeatedScalarFieldContainer[int]
    model: str
    def __init__(self, vectors: _Optional[bytes] = ..., dimension: _Optional[int] = ..., token_counts: _Optional[_Iterable[int]] = ..., truncated_texts: _Optional[_Iterable[int]] = ..., model: _Optional[str] = ...) -> None: ...

class GetModelRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetModelResponse(_message.Message):
    __slots__ = ("model",)
    MODEL_FIELD_NUMBER: _ClassVar[int]
    model: Model
    def __init__(self, model: _Optional[_Union[Model, _Mapping]] = ...) -> None: ...

class Model(_message.Message):
    __slots__ = ("name", "display_name", "digest", "dimension", "max_tokens", "pooling", "query_prefix", "passage_prefix", "providers", "filled_dimension")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    DIMENSION_FIELD_NUMBER: _ClassVar[int]
    MAX_TOKENS_FIELD_NUMBER: _ClassVar[int]
    POOLING_FIELD_NUMBER: _ClassVar[int]
    QUERY_PREFIX_FIELD_NUMBER: _ClassVar[int]
    PASSAGE_PREFIX_FIELD_NUMBER: _ClassVar[int]
    PROVIDERS_FIELD_NUMBER: _ClassVar[int]
    FILLED_DIMENSION_FIELD_NUMBER: _ClassVar[int]
    name: str
    display_name: str
    digest: str
    dimension: int
    max_tokens: int
    pooling: Pooling
    query_prefix: str
    passage_prefix: str
    providers: _containers.RepeatedScalarFieldContainer[str]
    filled_dimension: int
    def __init__(self, name: _Optional[str] = ..., display_name: _Optional[str] = ..., digest: _Optional[str] = ..., dimension: _Optional[int] = ..., max_tokens: _Optional[int] = ..., pooling: _Optional[_Union[Pooling, str]] = ..., query_prefix: _Optional[str] = ..., passage_prefix: _Optional[str] = ..., providers: _Optional[_Iterable[str]] = ..., filled_dimension: _Optional[int] = ...) -> None: ...
