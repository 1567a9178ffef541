"""What the descriptors say of a field, for both directions."""

from __future__ import annotations

import datetime as dt
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor

JSON = "_json"
# datetime.UTC needs Python 3.11.
UTC = dt.timezone.utc  # noqa: UP017
EPOCH = dt.datetime(1970, 1, 1, tzinfo=UTC)


def is_repeated(field: FieldDescriptor) -> bool:
    # protobuf 7 has no `label`, and 5 no `is_repeated`.
    described: Any = field
    repeated = getattr(described, "is_repeated", None)
    return bool(described.label == described.LABEL_REPEATED) if repeated is None else bool(repeated)


def is_map(field: FieldDescriptor) -> bool:
    return bool(field.message_type is not None and field.message_type.GetOptions().map_entry)


def value_fields(message: Any) -> dict[str, FieldDescriptor]:
    """Returns the fields of a message that stands for one Python value of any type; {} for others.

    These are the members of the oneof `kind`, and all are named `..._value`:
    celeriac.scheduler.v1.ConfigValue.
    """
    kind = message.oneofs_by_name.get("kind")
    if kind is None or len(kind.fields) != len(message.fields):
        return {}
    found = {field.name: field for field in kind.fields}
    return found if all(name.endswith("_value") for name in found) else {}


@cache
def short_names(enum: EnumDescriptor) -> dict[str, int]:
    """Returns the values by their names without the enum's own: {"FAILURE": 5}."""
    prefix = _common_prefix(enum)
    return {value.name.removeprefix(prefix): value.number for value in enum.values}


@cache
def _names_by_number(enum: EnumDescriptor) -> dict[int, str]:
    return {number: name for name, number in short_names(enum).items()}


def short_name(enum: EnumDescriptor, number: int) -> str | None:
    """Returns the name of a value; None for UNSPECIFIED; its number if this client doesn't know it."""
    return _names_by_number(enum).get(number, str(number)) if number else None


def _common_prefix(enum: EnumDescriptor) -> str:
    # By the rules of the contracts the first value is PREFIX_UNSPECIFIED.
    return str(enum.values_by_number[0].name).removesuffix("UNSPECIFIED")


def time_of(stamp: Any) -> dt.datetime:
    """Returns the time of a google.protobuf.Timestamp, to the microsecond."""
    return EPOCH + dt.timedelta(seconds=stamp.seconds, microseconds=stamp.nanos // 1000)
