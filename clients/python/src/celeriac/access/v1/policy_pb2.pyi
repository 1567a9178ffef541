from google.protobuf import descriptor_pb2 as _descriptor_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Role(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ROLE_UNSPECIFIED: _ClassVar[Role]
    ROLE_VIEWER: _ClassVar[Role]
    ROLE_ADMIN: _ClassVar[Role]
    ROLE_SUPER_ADMIN: _ClassVar[Role]
    ROLE_SERVICE: _ClassVar[Role]
    ROLE_WRITER: _ClassVar[Role]
ROLE_UNSPECIFIED: Role
ROLE_VIEWER: Role
ROLE_ADMIN: Role
ROLE_SUPER_ADMIN: Role
ROLE_SERVICE: Role
ROLE_WRITER: Role
POLICY_FIELD_NUMBER: _ClassVar[int]
policy: _descriptor.FieldDescriptor
SENSITIVE_FIELD_NUMBER: _ClassVar[int]
sensitive: _descriptor.FieldDescriptor
READABLE_FROM_FIELD_NUMBER: _ClassVar[int]
readable_from: _descriptor.FieldDescriptor

class Policy(_message.Message):
    __slots__ = ("least_role", "audited", "public", "timeout_seconds", "second_factor", "also", "callers")
    LEAST_ROLE_FIELD_NUMBER: _ClassVar[int]
    AUDITED_FIELD_NUMBER: _ClassVar[int]
    PUBLIC_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_SECONDS_FIELD_NUMBER: _ClassVar[int]
    SECOND_FACTOR_FIELD_NUMBER: _ClassVar[int]
    ALSO_FIELD_NUMBER: _ClassVar[int]
    CALLERS_FIELD_NUMBER: _ClassVar[int]
    least_role: Role
    audited: bool
    public: bool
    timeout_seconds: int
    second_factor: bool
    also: _containers.RepeatedScalarFieldContainer[Role]
    callers: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, least_role: _Optional[_Union[Role, str]] = ..., audited: bool = ..., public: bool = ..., timeout_seconds: _Optional[int] = ..., second_factor: bool = ..., also: _Optional[_Iterable[_Union[Role, str]]] = ..., callers: _Optional[_Iterable[str]] = ...) -> None: ...
