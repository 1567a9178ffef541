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

class ConfigType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CONFIG_TYPE_UNSPECIFIED: _ClassVar[ConfigType]
    CONFIG_TYPE_BOOL: _ClassVar[ConfigType]
    CONFIG_TYPE_INT: _ClassVar[ConfigType]
    CONFIG_TYPE_FLOAT: _ClassVar[ConfigType]
    CONFIG_TYPE_STRING: _ClassVar[ConfigType]
    CONFIG_TYPE_DURATION: _ClassVar[ConfigType]
    CONFIG_TYPE_ENUM: _ClassVar[ConfigType]

class ConfigChange(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CONFIG_CHANGE_UNSPECIFIED: _ClassVar[ConfigChange]
    CONFIG_CHANGE_SET: _ClassVar[ConfigChange]
    CONFIG_CHANGE_RESET: _ClassVar[ConfigChange]
    CONFIG_CHANGE_ROLLBACK: _ClassVar[ConfigChange]
CONFIG_TYPE_UNSPECIFIED: ConfigType
CONFIG_TYPE_BOOL: ConfigType
CONFIG_TYPE_INT: ConfigType
CONFIG_TYPE_FLOAT: ConfigType
CONFIG_TYPE_STRING: ConfigType
CONFIG_TYPE_DURATION: ConfigType
CONFIG_TYPE_ENUM: ConfigType
CONFIG_CHANGE_UNSPECIFIED: ConfigChange
CONFIG_CHANGE_SET: ConfigChange
CONFIG_CHANGE_RESET: ConfigChange
CONFIG_CHANGE_ROLLBACK: ConfigChange

class ConfigValue(_message.Message):
    __slots__ = ("bool_value", "int_value", "float_value", "string_value", "duration_value")
    BOOL_VALUE_FIELD_NUMBER: _ClassVar[int]
    INT_VALUE_FIELD_NUMBER: _ClassVar[int]
    FLOAT_VALUE_FIELD_NUMBER: _ClassVar[int]
    STRING_VALUE_FIELD_NUMBER: _ClassVar[int]
    DURATION_VALUE_FIELD_NUMBER: _ClassVar[int]
    bool_value: bool
    int_value: int
    float_value: float
    string_value: str
    duration_value: _duration_pb2.Duration
    def __init__(self, bool_value: bool = ..., int_value: _Optional[int] = ..., float_value: _Optional[float] = ..., string_value: _Optional[str] = ..., duration_value: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class Config(_message.Message):
    __slots__ = ("name", "description", "type", "value", "default_value", "is_set", "sensitive", "unit", "minimum", "maximum", "choices", "used_by", "revision", "etag", "update_time", "updated_by")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_VALUE_FIELD_NUMBER: _ClassVar[int]
    IS_SET_FIELD_NUMBER: _ClassVar[int]
    SENSITIVE_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    MINIMUM_FIELD_NUMBER: _ClassVar[int]
    MAXIMUM_FIELD_NUMBER: _ClassVar[int]
    CHOICES_FIELD_NUMBER: _ClassVar[int]
    USED_BY_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    UPDATED_BY_FIELD_NUMBER: _ClassVar[int]
    name: str
    description: str
    type: ConfigType
    value: ConfigValue
    default_value: ConfigValue
    is_set: bool
    sensitive: bool
    unit: str
    minimum: ConfigValue
    maximum: ConfigValue
    choices: _containers.RepeatedScalarFieldContainer[str]
    used_by: _containers.RepeatedScalarFieldContainer[str]
    revision: int
    etag: str
    update_time: _timestamp_pb2.Timestamp
    updated_by: str
    def __init__(self, name: _Optional[str] = ..., description: _Optional[str] = ..., type: _Optional[_Union[ConfigType, str]] = ..., value: _Optional[_Union[ConfigValue, _Mapping]] = ..., default_value: _Optional[_Union[ConfigValue, _Mapping]] = ..., is_set: bool = ..., sensitive: bool = ..., unit: _Optional[str] = ..., minimum: _Optional[_Union[ConfigValue, _Mapping]] = ..., maximum: _Optional[_Union[ConfigValue, _Mapping]] = ..., choices: _Optional[_Iterable[str]] = ..., used_by: _Optional[_Iterable[str]] = ..., revision: _Optional[int] = ..., etag: _Optional[str] = ..., update_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., updated_by: _Optional[str] = ...) -> None: ...

class ConfigRevision(_message.Message):
    __slots__ = ("name", "revision", "config", "change", "old_value", "new_value", "sensitive", "actor", "create_time", "comment", "rolled_back_to")
    NAME_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    CHANGE_FIELD_NUMBER: _ClassVar[int]
    OLD_VALUE_FIELD_NUMBER: _ClassVar[int]
    NEW_VALUE_FIELD_NUMBER: _ClassVar[int]
    SENSITIVE_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    COMMENT_FIELD_NUMBER: _ClassVar[int]
    ROLLED_BACK_TO_FIELD_NUMBER: _ClassVar[int]
    name: str
    revision: int
    config: str
    change: ConfigChange
    old_value: ConfigValue
    new_value: ConfigValue
    sensitive: bool
    actor: str
    create_time: _timestamp_pb2.Timestamp
    comment: str
    rolled_back_to: str
    def __init__(self, name: _Optional[str] = ..., revision: _Optional[int] = ..., config: _Optional[str] = ..., change: _Optional[_Union[ConfigChange, str]] = ..., old_value: _Optional[_Union[ConfigValue, _Mapping]] = ..., new_value: _Optional[_Union[ConfigValue, _Mapping]] = ..., sensitive: bool = ..., actor: _Optional[str] = ..., create_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., comment: _Optional[str] = ..., rolled_back_to: _Optional[str] = ...) -> None: ...

class GetConfigRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class GetConfigResponse(_message.Message):
    __slots__ = ("config",)
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    config: Config
    def __init__(self, config: _Optional[_Union[Config, _Mapping]] = ...) -> None: ...

class ListConfigsRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "prefixes")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    PREFIXES_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    prefixes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., prefixes: _Optional[_Iterable[str]] = ...) -> None: ...

class ListConfigsResponse(_message.Message):
    __slots__ = ("configs", "next_page_token")
    CONFIGS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    configs: _containers.RepeatedCompositeFieldContainer[Config]
    next_page_token: str
    def __init__(self, configs: _Optional[_Iterable[_Union[Config, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class SetConfigRequest(_message.Message):
    __slots__ = ("name", "value", "etag", "comment", "validate_only", "request_id")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    COMMENT_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    name: str
    value: ConfigValue
    etag: str
    comment: str
    validate_only: bool
    request_id: str
    def __init__(self, name: _Optional[str] = ..., value: _Optional[_Union[ConfigValue, _Mapping]] = ..., etag: _Optional[str] = ..., comment: _Optional[str] = ..., validate_only: bool = ..., request_id: _Optional[str] = ...) -> None: ...

class SetConfigResponse(_message.Message):
    __slots__ = ("config",)
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    config: Config
    def __init__(self, config: _Optional[_Union[Config, _Mapping]] = ...) -> None: ...

class ResetConfigRequest(_message.Message):
    __slots__ = ("name", "etag", "comment", "validate_only", "request_id")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    COMMENT_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    name: str
    etag: str
    comment: str
    validate_only: bool
    request_id: str
    def __init__(self, name: _Optional[str] = ..., etag: _Optional[str] = ..., comment: _Optional[str] = ..., validate_only: bool = ..., request_id: _Optional[str] = ...) -> None: ...

class ResetConfigResponse(_message.Message):
    __slots__ = ("config",)
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    config: Config
    def __init__(self, config: _Optional[_Union[Config, _Mapping]] = ...) -> None: ...

class ListConfigRevisionsRequest(_message.Message):
    __slots__ = ("parent", "page_size", "page_token")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    parent: str
    page_size: int
    page_token: str
    def __init__(self, parent: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListConfigRevisionsResponse(_message.Message):
    __slots__ = ("revisions", "next_page_token")
    REVISIONS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    revisions: _containers.RepeatedCompositeFieldContainer[ConfigRevision]
    next_page_token: str
    def __init__(self, revisions: _Optional[_Iterable[_Union[ConfigRevision, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class RollbackConfigRequest(_message.Message):
    __slots__ = ("name", "revision", "etag", "comment", "validate_only", "request_id")
    NAME_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    COMMENT_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    name: str
    revision: str
    etag: str
    comment: str
    validate_only: bool
    request_id: str
    def __init__(self, name: _Optional[str] = ..., revision: _Optional[str] = ..., etag: _Optional[str] = ..., comment: _Optional[str] = ..., validate_only: bool = ..., request_id: _Optional[str] = ...) -> None: ...

class RollbackConfigResponse(_message.Message):
    __slots__ = ("config",)
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    config: Config
    def __init__(self, config: _Optional[_Union[Config, _Mapping]] = ...) -> None: ...

class WatchConfigsRequest(_message.Message):
    __slots__ = ("prefixes", "cursor")
    PREFIXES_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    prefixes: _containers.RepeatedScalarFieldContainer[str]
    cursor: str
    def __init__(self, prefixes: _Optional[_Iterable[str]] = ..., cursor: _Optional[str] = ...) -> None: ...

class WatchConfigsResponse(_message.Message):
    __slots__ = ("configs", "revision", "complete", "cursor", "left_out_count")
    CONFIGS_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    COMPLETE_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    LEFT_OUT_COUNT_FIELD_NUMBER: _ClassVar[int]
    configs: _containers.RepeatedCompositeFieldContainer[Config]
    revision: int
    complete: bool
    cursor: str
    left_out_count: int
    def __init__(self, configs: _Optional[_Iterable[_Union[Config, _Mapping]]] = ..., revision: _Optional[int] = ..., complete: bool = ..., cursor: _Optional[str] = ..., left_out_count: _Optional[int] = ...) -> None: ...

class RevealConfigRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class RevealConfigResponse(_message.Message):
    __slots__ = ("value", "revision")
    VALUE_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    value: str
    revision: int
    def __init__(self, value: _Optional[str] = ..., revision: _Optional[int] = ...) -> None: ...

class ReadSecretRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class ReadSecretResponse(_message.Message):
    __slots__ = ("value", "revision")
    VALUE_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    value: str
    revision: int
    def __init__(self, value: _Optional[str] = ..., revision: _Optional[int] = ...) -> None: ...
