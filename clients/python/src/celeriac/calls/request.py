"""Python values into the fields of a request. What does not fit is refused, with an example of what does."""

from __future__ import annotations

import datetime as dt
import json
import struct
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from google.api import field_behavior_pb2, resource_pb2
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from celeriac.access.v1.resources import COLLECTIONS, COLLECTIONS_OF_PARENTS
from celeriac.calls.fields import EPOCH, JSON, is_map, is_repeated, short_names, value_fields
from celeriac.calls.views import View

if TYPE_CHECKING:
    from google.protobuf.descriptor import Descriptor, EnumDescriptor

# What Python's types may be, and what they are called, by the kind of field.
TYPES: dict[int, tuple[Any, str]] = {
    FieldDescriptor.CPPTYPE_STRING: ((str, bytes), "a str"),
    FieldDescriptor.CPPTYPE_BOOL: (bool, "a bool"),
    FieldDescriptor.CPPTYPE_INT32: (int, "an int"),
    FieldDescriptor.CPPTYPE_INT64: (int, "an int"),
    FieldDescriptor.CPPTYPE_FLOAT: ((int, float), "a float"),
    FieldDescriptor.CPPTYPE_DOUBLE: ((int, float), "a float"),
}
TIME_EXAMPLE = 'datetime(2026, 12, 1, 3, 30, tzinfo=ZoneInfo("Asia/Taipei"))'


def fill(message: Message, values: Mapping[str, Any], path: str = "") -> None:
    """Sets the fields. None leaves a field unset. Raises ValueError or TypeError, which name the field."""
    for name, value in values.items():
        if value is None:
            continue
        field = _field_of(message.DESCRIPTOR, name, path)
        at = f"{path}{name}"
        if field.name == name + JSON:
            setattr(message, field.name, _json(value, at))
        elif is_map(field):
            _set(at, getattr(message, field.name).update, value)
        elif is_repeated(field):
            _extend(message, field, value, at)
        elif field.message_type is not None:
            _fill_message(getattr(message, field.name), value, at)
        else:
            single = _scalar(field, value, at)
            _set(at, setattr, message, field.name, _typed(field, single, at))


def _field_of(message: Any, name: str, path: str) -> FieldDescriptor:
    fields = message.fields_by_name
    # `args` of a task is JSON in the contract; a message with a field `args` has its own.
    found: FieldDescriptor | None = fields.get(name) or fields.get(name + JSON)
    if found is None:
        import difflib

        known = [each.removesuffix(JSON) for each in fields]
        near = difflib.get_close_matches(name, known, 1)
        told = f"did you mean {near[0]}?" if near else f"it has: {', '.join(known)}"
        raise ValueError(f"{path}{name} is not a field of {message.name}; {told}")
    return found


def _set(at: str, change: Callable[..., object], *values: Any) -> None:
    """Makes the change, and says of an error of protobuf's which field it is about."""
    try:
        change(*values)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{at}: {error}") from None


def _typed(field: FieldDescriptor, value: Any, at: str) -> Any:
    """Returns the value if it is of the field's type: what protobuf itself says of another one is no help."""
    wanted, named = TYPES.get(field.cpp_type, (object, ""))
    # A bool is an int in Python, but nobody means it as one.
    if not isinstance(value, wanted) or (isinstance(value, bool) and wanted not in (bool, object)):
        raise TypeError(f"{at} is a {type(value).__name__}; it has to be {named}")
    return value


def _extend(message: Message, field: FieldDescriptor, value: Any, at: str) -> None:
    # One text is a list of one: else its letters would be taken for the elements.
    values = [value] if isinstance(value, (str, bytes, View, Mapping)) else list(value)
    held = getattr(message, field.name)
    for index, each in enumerate(values):
        if field.message_type is not None:
            _fill_message(held.add(), each, f"{at}[{index}]")
        else:
            single = _scalar(field, each, f"{at}[{index}]")
            _set(f"{at}[{index}]", held.append, _typed(field, single, f"{at}[{index}]"))


def _scalar(field: FieldDescriptor, value: Any, at: str) -> Any:
    if field.enum_type is not None:
        return _enum(field.enum_type, value, at)
    if field.type == field.TYPE_BYTES:
        return _bytes(value, at)
    if isinstance(value, View):
        value = value.name
    if isinstance(value, str):
        return _resource_name(field, value)
    return value


def _resource_name(field: FieldDescriptor, value: str) -> str:
    """Returns the full name of a resource: "schedules/nightly" for "nightly"."""
    options = field.GetOptions()
    reference = options.Extensions[resource_pb2.resource_reference]
    behavior = options.Extensions[field_behavior_pb2.field_behavior]
    if field_behavior_pb2.IDENTIFIER in behavior:
        described: Any = field.containing_type
        kind = described.GetOptions().Extensions[resource_pb2.resource].type
        collection = COLLECTIONS.get(kind, "")
    elif reference.child_type:
        collection = COLLECTIONS_OF_PARENTS.get(reference.child_type, "")
    else:
        collection = COLLECTIONS.get(reference.type, "")
    return value if not value or value.startswith(collection) else collection + value


def _enum(enum: EnumDescriptor, value: Any, at: str) -> int:
    if isinstance(value, int):
        return value
    names = short_names(enum)
    wanted = str(value).upper().removeprefix(enum.values_by_number[0].name.removesuffix("UNSPECIFIED"))
    if wanted in names:
        return names[wanted]
    import difflib

    near = difflib.get_close_matches(wanted, names, 1)
    known = ", ".join(name for name, number in names.items() if number)
    told = f"did you mean {near[0]}?" if near else f"it is one of: {known}"
    raise ValueError(f"{at} can't be {value!r}; {told}")


def _bytes(value: Any, at: str) -> bytes:
    """Returns bytes as they are, and a vector (a numpy array or numbers) as little-endian float32."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    numbers = [float(each) for each in value]
    try:
        return struct.pack(f"<{len(numbers)}f", *numbers)
    except (struct.error, OverflowError) as error:
        raise ValueError(f"{at}: {error}") from None


def _json(value: Any, at: str) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{at} can't be written as JSON: {error}") from None


def _fill_message(message: Any, value: Any, at: str) -> None:
    name = message.DESCRIPTOR.full_name
    if isinstance(value, View):
        value = value.raw
    if isinstance(value, type(message)):
        message.CopyFrom(value)
    elif name == "google.protobuf.Timestamp":
        _fill_time(message, value, at)
    elif name == "google.protobuf.Duration":
        _fill_duration(message, value, at)
    elif name == "google.protobuf.FieldMask":
        paths = value.split(",") if isinstance(value, str) else value
        message.paths.extend(each.strip() for each in paths)
    elif value_fields(message.DESCRIPTOR):
        fill(message, {_kind_of(value, at): value}, f"{at}.")
    elif isinstance(value, Mapping):
        # An empty message has to be set, too.
        message.SetInParent()
        fill(message, value, f"{at}.")
    else:
        fill(message, {_only_required(message.DESCRIPTOR, value, at): value}, f"{at}.")


def _fill_time(message: Any, value: Any, at: str) -> None:
    if not isinstance(value, dt.datetime):
        raise TypeError(f"{at} is a {type(value).__name__}; it has to be a datetime: {TIME_EXAMPLE}")
    if value.utcoffset() is None:
        raise ValueError(
            f"{at} ({value.isoformat(' ')}) has no time zone, and would be 8 hours off in Taipei; "
            f"for example {TIME_EXAMPLE}"
        )
    # Not by timestamp(), whose float loses microseconds.
    since = value - EPOCH
    message.seconds = since.days * 86400 + since.seconds
    message.nanos = since.microseconds * 1000


def _fill_duration(message: Any, value: Any, at: str) -> None:
    if isinstance(value, bool) or not isinstance(value, (dt.timedelta, int, float)):
        raise TypeError(f"{at} is a {type(value).__name__}; it has to be a timedelta: timedelta(minutes=5)")
    message.FromTimedelta(value if isinstance(value, dt.timedelta) else dt.timedelta(seconds=value))


def _kind_of(value: Any, at: str) -> str:
    """Returns the field of a value of any type: `int_value` for 5."""
    # bool first: it is an int, too.
    for kind, name in (
        (bool, "bool_value"),
        (int, "int_value"),
        (float, "float_value"),
        (str, "string_value"),
        (dt.timedelta, "duration_value"),
    ):
        if isinstance(value, kind):
            return name
    raise TypeError(
        f"{at} is a {type(value).__name__}; it can be a bool, an int, a float, a str or a timedelta"
    )


def _only_required(message: Descriptor, value: Any, at: str) -> str:
    """Returns the one field that a message can't be without, so that {"crontab": "0 3 * * *"} is enough."""
    required = [
        field.name
        for field in message.fields
        if field_behavior_pb2.REQUIRED in field.GetOptions().Extensions[field_behavior_pb2.field_behavior]
    ]
    if len(required) == 1:
        return required[0]
    raise TypeError(
        f"{at} is a {type(value).__name__}; it has to be a dict with fields of {message.name}: "
        f"{', '.join(field.name.removesuffix(JSON) for field in message.fields)}"
    )


def chunks(values: Iterable[Any], size: int) -> Iterable[list[Any]]:
    """Returns the values in lists of at most this size."""
    held: list[Any] = []
    for value in values:
        held.append(value)
        if len(held) == size:
            yield held
            held = []
    if held:
        yield held
