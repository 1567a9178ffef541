"""Converts values of the live configuration between the contract and Python."""

from __future__ import annotations

import datetime as dt

from celeriac.scheduler.v1 import config_pb2 as pb

from services.kernel.durations import span_of
from services.kernel.live_keys import ConfigType, Value

COLLECTION = "configs/"

# The field of ConfigValue for each type.
FIELDS = {
    ConfigType.BOOL: "bool_value",
    ConfigType.INT: "int_value",
    ConfigType.FLOAT: "float_value",
    ConfigType.STRING: "string_value",
    ConfigType.DURATION: "duration_value",
    ConfigType.ENUM: "string_value",
}


def value_to(value: Value | None) -> pb.ConfigValue | None:
    """Returns the contract's value; None, which leaves a field unset, for None."""
    match value:
        case None:
            return None
        case bool():
            return pb.ConfigValue(bool_value=value)
        case int():
            return pb.ConfigValue(int_value=value)
        case float():
            return pb.ConfigValue(float_value=value)
        case str():
            return pb.ConfigValue(string_value=value)
        case dt.timedelta():
            message = pb.ConfigValue()
            message.duration_value.FromTimedelta(value)
            return message


def value_from(message: pb.ConfigValue) -> Value | None:
    """Returns the value; None when unset. Raises `DurationFault` for a duration that can't be one."""
    kind = message.WhichOneof("kind")
    if kind is None:
        return None
    if kind == "duration_value":
        return span_of(message.duration_value)
    value: Value = getattr(message, kind)
    return value
