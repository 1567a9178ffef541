"""The types that proto JSON writes in a form of their own, on a contract that has them all."""

from __future__ import annotations

from typing import Any

import pytest
from celeriac.access.v1 import policy_pb2
from google.api import annotations_pb2
from google.protobuf import (
    any_pb2,
    descriptor_pb2,
    descriptor_pool,
    duration_pb2,
    field_mask_pb2,
    json_format,
    struct_pb2,
    timestamp_pb2,
    wrappers_pb2,
)
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from deploy.envoy.rest_contracts import rest_contracts
from tests.support.rest_script import RestScript

Field = descriptor_pb2.FieldDescriptorProto
SCALARS = ("double", "float", "int32", "int64", "uint32", "uint64", "bool", "string", "bytes")
WELL_KNOWN = (
    ("a_struct", "Struct"),
    ("a_value", "Value"),
    ("a_list", "ListValue"),
    ("an_any", "Any"),
    ("a_time", "Timestamp"),
    ("a_duration", "Duration"),
    ("a_mask", "FieldMask"),
    ("a_text", "StringValue"),
    ("a_number", "Int64Value"),
    ("a_switch", "BoolValue"),
)
IMPORTED = (
    any_pb2,
    duration_pb2,
    field_mask_pb2,
    struct_pb2,
    timestamp_pb2,
    wrappers_pb2,
    annotations_pb2,
    policy_pb2,
)


def contract(path: str = "/v1/things", body: str = "*") -> FileDescriptor:
    """celeriac.things.v1.ThingService with one method, whose request has a field of each type."""
    file = descriptor_pb2.FileDescriptorProto(
        name="things.proto", package="celeriac.things.v1", syntax="proto3"
    )
    pool = descriptor_pool.DescriptorPool()
    for module in IMPORTED:
        _add(pool, module.DESCRIPTOR)
        file.dependency.append(module.DESCRIPTOR.name)
    request = file.message_type.add(name="MakeRequest")
    for name in SCALARS:
        number = len(request.field) + 1
        kind: Any = Field.Type.Value(f"TYPE_{name.upper()}")
        request.field.add(name=f"a_{name}", number=number, type=kind, label=Field.LABEL_OPTIONAL)
    for name, message in WELL_KNOWN:
        request.field.add(
            name=name,
            number=len(request.field) + 1,
            type=Field.TYPE_MESSAGE,
            label=Field.LABEL_OPTIONAL,
            type_name=f".google.protobuf.{message}",
        )
    request.field.add(
        name="things",
        number=40,
        type=Field.TYPE_MESSAGE,
        label=Field.LABEL_REPEATED,
        type_name=".celeriac.things.v1.MakeRequest",
    )
    method = file.service.add(name="ThingService").method.add(
        name="Make", input_type=".celeriac.things.v1.MakeRequest", output_type=".google.protobuf.Struct"
    )
    http: Any = annotations_pb2.http
    method.options.Extensions[http].post = path
    method.options.Extensions[http].body = body
    policy: Any = policy_pb2.policy
    method.options.Extensions[policy].least_role = policy_pb2.ROLE_VIEWER
    pool.Add(file)
    return pool.FindFileByName("things.proto")


def _add(pool: descriptor_pool.DescriptorPool, file: FileDescriptor) -> None:
    for imported in file.dependencies:
        _add(pool, imported)
    pool.AddSerializedFile(file.serialized_pb)


@pytest.fixture(scope="module")
def script() -> RestScript:
    return RestScript([contract()])


def message() -> Any:
    made: Any = GetMessageClass(contract().message_types_by_name["MakeRequest"])()
    return made


ACCEPTED: dict[str, Any] = {
    "a struct": {"a_struct": {"any": ["thing", {"is": None}]}},
    "a null in a value": {"a_value": None},
    "a value of any kind": {"a_value": [1, {"a": "b"}]},
    "a list": {"a_list": [1, "a", None]},
    "an any": {"an_any": {"@type": "type.googleapis.com/google.protobuf.Duration", "value": "1s"}},
    "times": {"a_time": "1969-12-31T23:59:59.999999999Z", "a_duration": "-1.000000001s", "a_mask": "a,b.cD"},
    "wrappers": {"a_text": "x", "a_number": "9007199254740993", "a_switch": False},
    "numbers as texts": {
        "a_int64": "-9223372036854775808",
        "a_uint64": "18446744073709551615",
        "a_double": "NaN",
    },
    "numbers with fractions and exponents": {"a_int64": 5.0, "a_uint64": 1e3, "a_int32": -7.0},
    "numbers": {"a_int32": -2147483648, "a_uint32": 4294967295, "a_float": 1e-3, "a_double": -0.0},
    "bytes in both alphabets": {"a_bytes": "+/-_"},
    "a list within lists": {"things": [{}, {"things": [{"a_bool": True}]}]},
    "nulls": {name: None for name, _ in WELL_KNOWN}
    | {f"a_{name}": None for name in SCALARS}
    | {"things": None},
    "other names": {"aString": "x", "aStruct": {"a_b": 1}},
}


@pytest.mark.parametrize("body", ACCEPTED.values(), ids=ACCEPTED)
def test_what_proto_json_reads_is_passed_on(body: dict[str, Any], script: RestScript) -> None:
    json_format.ParseDict(body, message(), descriptor_pool=contract().pool)
    judged = script.judge("POST", "/v1/things", body)
    assert judged.answer is None, judged.message


REFUSED: dict[str, tuple[Any, str, str]] = {
    "a number for a struct": ({"a_struct": 1}, "a_struct", "is a number, not an object"),
    "an object for a list": ({"a_list": {}}, "a_list", "is an object, not a list"),
    "no time": ({"a_time": "2026-11-30"}, "a_time", 'is "2026-11-30", not a time'),
    "a number for a duration": (
        {"a_duration": 5},
        "a_duration",
        "is a number, not a number of seconds with an s",
    ),
    "a duration without its s": ({"a_duration": "5"}, "a_duration", 'is "5", not a number of seconds'),
    "a list for a mask": ({"a_mask": ["a"]}, "a_mask", "is a list, not names of fields"),
    "a wrapper as an object": ({"a_text": {"value": "x"}}, "a_text", "is an object, not a text"),
    "a word for a wrapped switch": ({"a_switch": "yes"}, "a_switch", 'is "yes", not true or false'),
    "half a number": ({"a_int32": 1.5}, "a_int32", "is 1.5, not a whole number of 32 bits"),
    "too large": ({"a_int32": 2147483648}, "a_int32", "is 2147483648, not a whole number of 32 bits"),
    "below zero": ({"a_uint64": -1}, "a_uint64", "is -1, not a whole number of 64 bits, not negative"),
    **{
        f"{value} for {name}": (
            f'{{"{name}": {value}}}'.encode(),
            name,
            f"is {value}, too large for a fraction or an exponent: write its digits alone",
        )
        for name in ("a_int64", "a_uint64")
        for value in ("9007199254740993.0", "9.007199254740993e15", '"9007199254740993.0"')
    },
    "no number": ({"a_double": "many"}, "a_double", 'is "many", not a number'),
    "no base64": ({"a_bytes": "a b"}, "a_bytes", 'is "a b", not a text in base64'),
    "null in a list": ({"things": [None]}, "things[0]", "is null, not an object"),
    "a field within a list": ({"things": [{}, {"x": 1}]}, "things[1].x", "is not a field of MakeRequest"),
    "a name twice in a struct": (
        b'{"a_struct": {"a": [{"b": 1, "b": 2}]}}',
        "a_struct.a[0].b",
        "appears twice",
    ),
}


@pytest.mark.parametrize(("body", "field", "told"), REFUSED.values(), ids=REFUSED)
def test_what_proto_json_does_not_read_is_told(body: Any, field: str, told: str, script: RestScript) -> None:
    if isinstance(body, dict):
        with pytest.raises(json_format.ParseError):
            json_format.ParseDict(body, message(), descriptor_pool=contract().pool)
    fault = script.judge("POST", "/v1/things", body).faults[field]
    assert fault.startswith(told)
    assert "; for example: " in fault


def test_each_example_that_is_told_is_a_valid_one() -> None:
    described = rest_contracts([contract()])["messages"]["celeriac.things.v1.MakeRequest"]
    for field in described["order"]:
        if field["name"] != "an_any":
            made: Message = message()
            json_format.Parse(field["example"], made, descriptor_pool=contract().pool)
            assert made.ListFields()


def test_a_rest_form_that_could_not_be_checked_is_not_made() -> None:
    with pytest.raises(ValueError, match="several segments"):
        rest_contracts([contract("/v1/{a_string=things/**}")])
    with pytest.raises(ValueError, match="is no message"):
        rest_contracts([contract(body="a_string")])
