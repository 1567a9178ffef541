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

class ChangeKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CHANGE_KIND_UNSPECIFIED: _ClassVar[ChangeKind]
    CHANGE_KIND_CREATE: _ClassVar[ChangeKind]
    CHANGE_KIND_CHANGE: _ClassVar[ChangeKind]
    CHANGE_KIND_REMOVE: _ClassVar[ChangeKind]

class ManifestFormat(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MANIFEST_FORMAT_UNSPECIFIED: _ClassVar[ManifestFormat]
    MANIFEST_FORMAT_YAML: _ClassVar[ManifestFormat]
    MANIFEST_FORMAT_JSON: _ClassVar[ManifestFormat]

class NotCarriedWeight(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    NOT_CARRIED_WEIGHT_UNSPECIFIED: _ClassVar[NotCarriedWeight]
    NOT_CARRIED_WEIGHT_LOST: _ClassVar[NotCarriedWeight]
    NOT_CARRIED_WEIGHT_CHANGED: _ClassVar[NotCarriedWeight]
    NOT_CARRIED_WEIGHT_RENAMED: _ClassVar[NotCarriedWeight]
CHANGE_KIND_UNSPECIFIED: ChangeKind
CHANGE_KIND_CREATE: ChangeKind
CHANGE_KIND_CHANGE: ChangeKind
CHANGE_KIND_REMOVE: ChangeKind
MANIFEST_FORMAT_UNSPECIFIED: ManifestFormat
MANIFEST_FORMAT_YAML: ManifestFormat
MANIFEST_FORMAT_JSON: ManifestFormat
NOT_CARRIED_WEIGHT_UNSPECIFIED: NotCarriedWeight
NOT_CARRIED_WEIGHT_LOST: NotCarriedWeight
NOT_CARRIED_WEIGHT_CHANGED: NotCarriedWeight
NOT_CARRIED_WEIGHT_RENAMED: NotCarriedWeight

class FieldChange(_message.Message):
    __slots__ = ("field", "old_value", "new_value")
    FIELD_FIELD_NUMBER: _ClassVar[int]
    OLD_VALUE_FIELD_NUMBER: _ClassVar[int]
    NEW_VALUE_FIELD_NUMBER: _ClassVar[int]
    field: str
    old_value: str
    new_value: str
    def __init__(self, field: _Optional[str] = ..., old_value: _Optional[str] = ..., new_value: _Optional[str] = ...) -> None: ...

class ScheduleChange(_message.Message):
    __slots__ = ("name", "kind", "fields", "warnings")
    NAME_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    FIELDS_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    name: str
    kind: ChangeKind
    fields: _containers.RepeatedCompositeFieldContainer[FieldChange]
    warnings: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, name: _Optional[str] = ..., kind: _Optional[_Union[ChangeKind, str]] = ..., fields: _Optional[_Iterable[_Union[FieldChange, _Mapping]]] = ..., warnings: _Optional[_Iterable[str]] = ...) -> None: ...

class Difference(_message.Message):
    __slots__ = ("changes", "create_count", "change_count", "remove_count", "unchanged_count", "text", "etag")
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    CREATE_COUNT_FIELD_NUMBER: _ClassVar[int]
    CHANGE_COUNT_FIELD_NUMBER: _ClassVar[int]
    REMOVE_COUNT_FIELD_NUMBER: _ClassVar[int]
    UNCHANGED_COUNT_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    changes: _containers.RepeatedCompositeFieldContainer[ScheduleChange]
    create_count: int
    change_count: int
    remove_count: int
    unchanged_count: int
    text: str
    etag: str
    def __init__(self, changes: _Optional[_Iterable[_Union[ScheduleChange, _Mapping]]] = ..., create_count: _Optional[int] = ..., change_count: _Optional[int] = ..., remove_count: _Optional[int] = ..., unchanged_count: _Optional[int] = ..., text: _Optional[str] = ..., etag: _Optional[str] = ...) -> None: ...

class ApplySchedulesRequest(_message.Message):
    __slots__ = ("manifest", "validate_only", "prune_label", "etag", "request_id")
    MANIFEST_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    PRUNE_LABEL_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    manifest: str
    validate_only: bool
    prune_label: str
    etag: str
    request_id: str
    def __init__(self, manifest: _Optional[str] = ..., validate_only: bool = ..., prune_label: _Optional[str] = ..., etag: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class ApplySchedulesResponse(_message.Message):
    __slots__ = ("difference",)
    DIFFERENCE_FIELD_NUMBER: _ClassVar[int]
    difference: Difference
    def __init__(self, difference: _Optional[_Union[Difference, _Mapping]] = ...) -> None: ...

class ExportSchedulesRequest(_message.Message):
    __slots__ = ("labels", "task_names", "queues", "format")
    LABELS_FIELD_NUMBER: _ClassVar[int]
    TASK_NAMES_FIELD_NUMBER: _ClassVar[int]
    QUEUES_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    labels: _containers.RepeatedScalarFieldContainer[str]
    task_names: _containers.RepeatedScalarFieldContainer[str]
    queues: _containers.RepeatedScalarFieldContainer[str]
    format: ManifestFormat
    def __init__(self, labels: _Optional[_Iterable[str]] = ..., task_names: _Optional[_Iterable[str]] = ..., queues: _Optional[_Iterable[str]] = ..., format: _Optional[_Union[ManifestFormat, str]] = ...) -> None: ...

class ExportSchedulesResponse(_message.Message):
    __slots__ = ("manifest", "count")
    MANIFEST_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    manifest: str
    count: int
    def __init__(self, manifest: _Optional[str] = ..., count: _Optional[int] = ...) -> None: ...

class ImportSchedulesRequest(_message.Message):
    __slots__ = ("dump", "validate_only", "labels", "etag", "request_id", "default_queue")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    DUMP_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_QUEUE_FIELD_NUMBER: _ClassVar[int]
    dump: str
    validate_only: bool
    labels: _containers.ScalarMap[str, str]
    etag: str
    request_id: str
    default_queue: str
    def __init__(self, dump: _Optional[str] = ..., validate_only: bool = ..., labels: _Optional[_Mapping[str, str]] = ..., etag: _Optional[str] = ..., request_id: _Optional[str] = ..., default_queue: _Optional[str] = ...) -> None: ...

class NotCarried(_message.Message):
    __slots__ = ("entry", "field", "reason", "weight")
    ENTRY_FIELD_NUMBER: _ClassVar[int]
    FIELD_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    entry: str
    field: str
    reason: str
    weight: NotCarriedWeight
    def __init__(self, entry: _Optional[str] = ..., field: _Optional[str] = ..., reason: _Optional[str] = ..., weight: _Optional[_Union[NotCarriedWeight, str]] = ...) -> None: ...

class ImportSchedulesResponse(_message.Message):
    __slots__ = ("manifest", "difference", "not_carried")
    MANIFEST_FIELD_NUMBER: _ClassVar[int]
    DIFFERENCE_FIELD_NUMBER: _ClassVar[int]
    NOT_CARRIED_FIELD_NUMBER: _ClassVar[int]
    manifest: str
    difference: Difference
    not_carried: _containers.RepeatedCompositeFieldContainer[NotCarried]
    def __init__(self, manifest: _Optional[str] = ..., difference: _Optional[_Union[Difference, _Mapping]] = ..., not_carried: _Optional[_Iterable[_Union[NotCarried, _Mapping]]] = ...) -> None: ...
