"""Messages as Python values: read-only objects whose attributes are the fields.

| field | value |
|---|---|
| Timestamp, Duration | an aware datetime in UTC, a timedelta; None if unset |
| enum | its name without what the names have in common, "FAILURE"; None for UNSPECIFIED |
| `..._json` | as it is, and as a Python value under the name without `_json` |
| message | a view; None if unset |
| repeated, map | a list, a dict |
| `optional`, member of a oneof | None if unset |
"""

from __future__ import annotations

import datetime as dt
import importlib
import json
from typing import TYPE_CHECKING, Any, ClassVar

from celeriac.calls.fields import JSON, is_map, is_repeated, short_name, time_of, value_fields

if TYPE_CHECKING:
    from google.protobuf.message import Message

CLASSES: dict[str, type[View]] = {}
REDACTED = "[redacted]"


class View:
    """A message of the contract. `raw` is the protobuf message itself."""

    # The message's full name. A class that ends in "~aio" there is for asyncio's calls.
    message_name: ClassVar[str] = ""

    def __init__(self, raw: Any, calls: Any = None) -> None:
        self.raw = raw
        self._calls = calls

    def __init_subclass__(cls, **named: Any) -> None:
        super().__init_subclass__(**named)
        if "message_name" in cls.__dict__:
            CLASSES[cls.message_name] = cls

    def __getattr__(self, name: str) -> Any:
        # Only for names that are not set yet: each field is converted once, when it is asked for.
        if name.startswith("__"):
            raise AttributeError(name)
        fields = self.raw.DESCRIPTOR.fields_by_name
        if name in fields:
            value = _value(self.raw, fields[name], self._calls)
        elif name + JSON in fields:
            value = _loaded(getattr(self.raw, name + JSON))
        else:
            raise AttributeError(f"{type(self).__name__} has no {name!r}; it has: {', '.join(fields)}")
        self.__dict__[name] = value
        return value

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self.raw.DESCRIPTOR.fields_by_name]

    @property
    def id(self) -> str:
        """The name without its collection: "nightly" of "schedules/nightly"."""
        name: str = self.raw.name
        # Ids of tasks and workers may have slashes; names below another resource may not.
        return name.rpartition("/")[2] if name.startswith("schedules/") else name.partition("/")[2]

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields that are set, as Python values, to be changed and sent again."""
        return {field.name: _plain(getattr(self, field.name)) for field, _ in self.raw.ListFields()}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, View) and bool(self.raw == other.raw)

    __hash__ = None  # type: ignore[assignment] # as messages have none: they may be changed

    def __repr__(self) -> str:
        told = ", ".join(f"{name}={value!r}" for name, value in self.to_dict().items())
        return f"{type(self).__name__}({told})"


def view(message: Message, calls: Any = None) -> Any:
    """Returns the message as a view of its class, or as a Python value if it stands for one."""
    name = message.DESCRIPTOR.full_name
    if name == "google.protobuf.Timestamp":
        return time_of(message)
    if name == "google.protobuf.Duration":
        raw: Any = message
        return dt.timedelta(seconds=raw.seconds, microseconds=raw.nanos / 1000)
    if name == "google.protobuf.Struct":
        from google.protobuf.json_format import MessageToDict

        return MessageToDict(message)
    if value_fields(message.DESCRIPTOR):
        kind = message.WhichOneof("kind")
        return None if kind is None else _value(message, message.DESCRIPTOR.fields_by_name[kind], calls)
    return _class_of(message, bool(calls and calls.asynchronous))(message, calls)


def _class_of(message: Message, asynchronous: bool) -> type[View]:
    name = message.DESCRIPTOR.full_name
    if name not in CLASSES and name.startswith("celeriac."):
        # "celeriac/scheduler/v1/schedules.proto" is in celeriac.scheduler.v1.schedules.
        importlib.import_module(message.DESCRIPTOR.file.name.removesuffix(".proto").replace("/", "."))
    found = CLASSES.get(f"{name}~aio") if asynchronous else None
    return found or CLASSES.get(name, View)


def _value(message: Message, field: Any, calls: Any) -> Any:
    if is_map(field):
        return dict(getattr(message, field.name))
    if is_repeated(field):
        return [_single(each, field, calls) for each in getattr(message, field.name)]
    if field.has_presence and not message.HasField(field.name):
        return None
    return _single(getattr(message, field.name), field, calls)


def _single(value: Any, field: Any, calls: Any) -> Any:
    if field.message_type is not None:
        return view(value, calls)
    if field.enum_type is not None:
        return short_name(field.enum_type, value)
    return value


def _loaded(text: str) -> Any:
    """Returns the value of JSON; the text itself where a role may not read it, None where there is none."""
    if not text:
        return None
    return text if text == REDACTED else json.loads(text)


def _plain(value: Any) -> Any:
    if isinstance(value, View):
        return value.to_dict()
    return [_plain(each) for each in value] if isinstance(value, list) else value
