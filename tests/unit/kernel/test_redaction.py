"""What may be kept of a request."""

from __future__ import annotations

import shutil
from typing import Any

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, timestamp_pb2

from protos.generate import PROTOS, compiled
from services.kernel.redaction import redacted
from tests.support.probe import Text

CONTRACT = """
syntax = "proto3";
package celeriac.safe.v1;
import "celeriac/access/v1/policy.proto";
import "google/protobuf/timestamp.proto";

message Card {
  string holder = 1;
  string number = 2 [(celeriac.access.v1.sensitive) = true];
}

message Order {
  map<string, Card> by_name = 1;
  map<bool, Card> by_use = 2;
  map<string, string> labels = 3;
  map<string, string> passwords = 4 [(celeriac.access.v1.sensitive) = true];
  bytes key = 5 [(celeriac.access.v1.sensitive) = true];
  int64 pin = 6 [(celeriac.access.v1.sensitive) = true];
  Card whole = 7 [(celeriac.access.v1.sensitive) = true];
  repeated bytes seeds = 8 [(celeriac.access.v1.sensitive) = true];
  repeated Card cards = 9;
  oneof how {
    string code = 10 [(celeriac.access.v1.sensitive) = true];
    bytes scan = 11 [(celeriac.access.v1.sensitive) = true];
    Card card = 12;
    string note = 13;
  }
  google.protobuf.Timestamp time = 14;
  Order parent = 15;
}
"""


@pytest.fixture(scope="module")
def order(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The message type of a contract with marks in every place."""
    contracts = tmp_path_factory.mktemp("contracts")
    shutil.copytree(PROTOS / "celeriac/access", contracts / "celeriac/access")
    (contracts / "celeriac/safe/v1").mkdir(parents=True)
    (contracts / "celeriac/safe/v1/safe.proto").write_text(CONTRACT)
    compiled(contracts, f"--descriptor_set_out={contracts / 'safe.binpb'}")
    files = descriptor_pb2.FileDescriptorSet.FromString((contracts / "safe.binpb").read_bytes()).file
    pool = descriptor_pool.Default()
    for file in files:
        if file.package == "celeriac.safe.v1":
            pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("celeriac.safe.v1.Order"))


def test_sensitive_fields_are_replaced_and_others_kept() -> None:
    request = Text(text="帳單", secret="4111 1111 1111 1111")
    assert redacted(request) == {"text": "帳單", "secret": "[redacted]"}
    assert request.secret == "4111 1111 1111 1111"


def test_an_overlong_request_is_replaced_by_its_digest() -> None:
    kept = redacted(Text(text="x" * 100_000))
    assert kept["cut"] is True
    assert kept["bytes"] > 100_000
    assert len(kept["sha256"]) == 64


def test_a_request_with_a_time_that_json_cannot_hold_is_kept_by_its_size() -> None:
    request = timestamp_pb2.Timestamp(seconds=10**15)
    assert redacted(request) == {"cut": True, "bytes": request.ByteSize()}


def test_a_secret_that_is_long_does_not_cut_the_rest() -> None:
    assert redacted(Text(text="kept", secret="x" * 100_000)) == {"text": "kept", "secret": "[redacted]"}


CARD = {"holder": "Mei", "number": "4111"}
KEPT = {"holder": "Mei", "number": "[redacted]"}


@pytest.mark.parametrize(
    ("fields", "kept"),
    [
        ({"by_name": {"a": CARD, "b": CARD}}, {"by_name": {"a": KEPT, "b": KEPT}}),
        ({"by_use": {True: CARD, False: CARD}}, {"by_use": {"true": KEPT, "false": KEPT}}),
        ({"labels": {"team": "growth"}}, {"labels": {"team": "growth"}}),
        ({"passwords": {"db": "hunter2"}}, {"passwords": {"db": "[redacted]"}}),
        ({"key": b"\x00\xff"}, {"key": "[redacted]"}),
        ({"pin": 1234}, {"pin": "[redacted]"}),
        ({"whole": CARD}, {"whole": "[redacted]"}),
        ({"seeds": [b"a", b"b"]}, {"seeds": ["[redacted]", "[redacted]"]}),
        ({"cards": [CARD, {"holder": "Bo"}]}, {"cards": [KEPT, {"holder": "Bo"}]}),
        ({"code": "123456"}, {"code": "[redacted]"}),
        ({"scan": b"123456"}, {"scan": "[redacted]"}),
        ({"card": CARD}, {"card": KEPT}),
        ({"note": "at the door"}, {"note": "at the door"}),
        ({"time": timestamp_pb2.Timestamp(nanos=5_000_000)}, {"time": "1970-01-01T00:00:00.005Z"}),
        ({"parent": {"parent": {"pin": 1}}}, {"parent": {"parent": {"pin": "[redacted]"}}}),
        ({}, {}),
    ],
    ids=lambda value: next(iter(value), "nothing"),
)
def test_a_mark_is_obeyed_in_maps_lists_oneofs_and_nested_messages(
    order: Any, fields: dict[str, Any], kept: dict[str, Any]
) -> None:
    assert redacted(order(**fields)) == kept
