"""The example that a refused value of the live configuration comes with would itself be taken."""

from __future__ import annotations

import datetime as dt

import pytest
from celeriac.scheduler.v1 import config_pb2 as pb
from google.protobuf import json_format

from services.kernel.config_wire import value_from
from services.kernel.live_keys import KEYS, AnyKey, ConfigType, Key, key_named, shown
from services.scheduler.config.in_force import example_of

SECRET = key_named("secrets.smtp.password")
assert SECRET is not None
FLAG = Key("a.flag", ConfigType.BOOL, False, "")
SHARE = Key("a.share", ConfigType.FLOAT, 0.5, "")


@pytest.mark.parametrize("key", [*KEYS.values(), SECRET, FLAG, SHARE], ids=lambda key: str(key.name))
def test_an_example_is_a_value_of_its_key(key: AnyKey) -> None:
    value = value_from(json_format.Parse(example_of(key), pb.ConfigValue()))
    assert value is not None
    assert key.fault_of(value) == ""
    assert key.default in {value, None}


def test_a_span_is_told_as_json_takes_it() -> None:
    spans = {"2592000s": dt.timedelta(days=30), "0.5s": dt.timedelta(milliseconds=500), "0s": dt.timedelta(0)}
    assert {shown(span): span for span in spans.values()} == spans
