"""Each rule of protos/rules.py catches what it is there for, in a contract that keeps all the others."""

from __future__ import annotations

from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from protos.generate import PROTOS, compiled
from protos.rules import RULES, breaches

FILE = "celeriac/garden/v1/garden.proto"
SOUND = """\
syntax = "proto3";

package celeriac.garden.v1;

import "celeriac/access/v1/policy.proto";
import "google/api/annotations.proto";
import "google/api/client.proto";
import "google/api/field_behavior.proto";
import "google/api/resource.proto";

option (google.api.resource_definition) = {
  type: "celeriac.dev/Well"
  pattern: "wells/{well}"
};

// The beds of a garden.
service GardenService {
  // Lists the beds, by name.
  rpc ListBeds(ListBedsRequest) returns (ListBedsResponse) {
    option (celeriac.access.v1.policy) = {least_role: ROLE_VIEWER};
    option (google.api.http) = {
      get: "/v1/beds"
      additional_bindings {get: "/celery-admin/beds"}
    };
    option (google.api.method_signature) = "";
  }

  // Makes a bed of this name.
  rpc CreateBed(CreateBedRequest) returns (CreateBedResponse) {
    option (celeriac.access.v1.policy) = {least_role: ROLE_ADMIN, audited: true};
    option (google.api.http) = {post: "/v1/beds" body: "*"};
    option (google.api.method_signature) = "bed,bed_id";
  }

  // Changes a bed that exists.
  rpc UpdateBed(UpdateBedRequest) returns (UpdateBedResponse) {
    option (celeriac.access.v1.policy) = {least_role: ROLE_ADMIN, audited: true};
    option (google.api.http) = {patch: "/v1/{bed.name=beds/*}" body: "bed"};
    option (google.api.method_signature) = "bed";
  }

  // Deletes a bed with all that grows there.
  rpc DeleteBed(DeleteBedRequest) returns (DeleteBedResponse) {
    option (celeriac.access.v1.policy) = {least_role: ROLE_ADMIN, audited: true};
    option (google.api.http) = {delete: "/v1/{name=beds/*}"};
    option (google.api.method_signature) = "name";
  }

  // Tells what changes in the beds.
  rpc WatchBeds(WatchBedsRequest) returns (stream WatchBedsResponse) {
    option (celeriac.access.v1.policy) = {least_role: ROLE_VIEWER};
    option (google.api.http) = {get: "/v1/beds:watch"};
    option (google.api.method_signature) = "";
  }

  // Sows seeds as they come.
  rpc Sow(stream SowRequest) returns (SowResponse) {
    option (celeriac.access.v1.policy) = {least_role: ROLE_ADMIN, audited: true};
  }

  // Takes water from the well.
  rpc Water(WaterRequest) returns (WaterResponse) {
    option (celeriac.access.v1.policy) = {least_role: ROLE_SERVICE, callers: ["scheduler"]};
    option (google.api.method_signature) = "";
  }
}

// How the soil of a bed is.
enum Soil {
  SOIL_UNSPECIFIED = 0;
  // There is much sand in it.
  SOIL_LIGHT = 1;
}

// A bed and what grows there.
message Bed {
  option (google.api.resource) = {
    type: "celeriac.dev/Bed"
    pattern: "beds/{bed}"
    singular: "bed"
    plural: "beds"
  };

  // The name of the bed, "beds/{id}".
  string name = 1 [(google.api.field_behavior) = IDENTIFIER];
  // What the soil is like.
  Soil soil = 2 [(google.api.field_behavior) = OPTIONAL];
  // The bed beside it, "beds/{id}"; none when unset.
  string neighbour = 3 [
    (google.api.field_behavior) = OPTIONAL,
    (google.api.resource_reference).type = "celeriac.dev/Bed"
  ];
  // What the gardener thinks of it.
  string note = 4 [
    (google.api.field_behavior) = OPTIONAL,
    (celeriac.access.v1.readable_from) = ROLE_ADMIN
  ];
}

message ListBedsRequest {
  // At most this many beds; 50 when unset.
  int32 page_size = 1 [(google.api.field_behavior) = OPTIONAL];
  // The next_page_token of the page before.
  string page_token = 2 [(google.api.field_behavior) = OPTIONAL];
  // Only beds with such soils.
  repeated Soil soils = 3 [(google.api.field_behavior) = OPTIONAL];
  // By what the beds are ordered: "name".
  string order_by = 4 [(google.api.field_behavior) = OPTIONAL];
}

message ListBedsResponse {
  // The beds of the page.
  repeated Bed beds = 1;
  // Ask with this for the next page.
  string next_page_token = 2;
}

message CreateBedRequest {
  // The bed to be made.
  Bed bed = 1 [(google.api.field_behavior) = REQUIRED];
  // The last part of its name.
  string bed_id = 2 [(google.api.field_behavior) = REQUIRED];
  // An id of the caller's for this change.
  string request_id = 3 [(google.api.field_behavior) = OPTIONAL];
}

message CreateBedResponse {}

message UpdateBedRequest {
  // The bed as it shall be.
  Bed bed = 1 [(google.api.field_behavior) = REQUIRED];
}

message UpdateBedResponse {}

message DeleteBedRequest {
  // The name of the bed, "beds/{id}".
  string name = 1 [
    (google.api.field_behavior) = REQUIRED,
    (google.api.resource_reference).type = "celeriac.dev/Bed"
  ];
}

message DeleteBedResponse {}

message WatchBedsRequest {
  // Tells what came after this.
  string cursor = 1 [(google.api.field_behavior) = OPTIONAL];
}

message WatchBedsResponse {
  // Watch again from here on.
  string cursor = 1;
  // How many changes were left out before this.
  int64 left_out_count = 2;
  // The bed that was changed.
  Bed bed = 3;
}

message SowRequest {
  // What is to be sown.
  string seed = 1 [(google.api.field_behavior) = OPTIONAL];
}

message SowResponse {}

message WaterRequest {
  // Where the water is from, "wells/{id}".
  string well = 1 [
    (google.api.field_behavior) = OPTIONAL,
    (google.api.resource_reference).type = "celeriac.dev/Well"
  ];
}

message WaterResponse {}
"""


def found(contracts: Path, source: str) -> list[str]:
    """What a contract of this text does against the rules."""
    for path, text in {FILE: source, "celeriac/access/v1/policy.proto": None}.items():
        file = contracts / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text((PROTOS / path).read_text() if text is None else text)
    image = contracts / "contracts.binpb"
    compiled(contracts, "--include_imports", "--include_source_info", f"--descriptor_set_out={image}")
    return breaches(FileDescriptorSet.FromString(image.read_bytes()), ["celeriac.garden."])


def test_a_sound_contract_is_let_through(tmp_path: Path) -> None:
    assert found(tmp_path, SOUND) == []


OPTIONAL = " [(google.api.field_behavior) = OPTIONAL]"
BREACHES = {
    "messages_have_comments": ("// A bed and what grows there.\n", "", "Bed has no comment"),
    "enum_values_have_comments": ("  // There is much sand in it.\n", "", "Soil.SOIL_LIGHT has no comment"),
    "comments_are_sentences: full stop": (
        "What the soil is like.",
        "What the soil is like",
        "Bed.soil has a comment that does not end in a full stop",
    ),
    "comments_are_sentences: begin": (
        "What the soil is like.",
        "and what the soil is like.",
        "Bed.soil has a comment that does not begin a sentence",
    ),
    "comments_are_sentences: words": (
        "What the soil is like.",
        "Its kind.",
        "Bed.soil has a comment that says nothing: 'Its kind.'",
    ),
    "fields_state_their_behavior: request": (
        "string seed = 1" + OPTIONAL,
        "string seed = 1",
        "SowRequest.seed has no field_behavior",
    ),
    "fields_state_their_behavior: resource": (
        "Soil soil = 2" + OPTIONAL,
        "Soil soil = 2",
        "Bed.soil has no field_behavior",
    ),
    "resources_are_described: plural": ('    plural: "beds"\n', "", "Bed is a resource, which needs a type"),
    "resources_are_described: name": (
        "name = 1 [(google.api.field_behavior) = IDENTIFIER]",
        "name = 1 [(google.api.field_behavior) = OUTPUT_ONLY]",
        "Bed is a resource, and its field `name` must",
    ),
    "names_are_resource_names: message": (
        "int64 left_out_count = 2;",
        "int64 left_out_count = 2;\n  // What people call it.\n  string name = 9;",
        "WatchBedsResponse.name is no resource's name; give it google.api.resource, or another name",
    ),
    "names_are_resource_names: request": (
        "string seed = 1",
        "string name = 1",
        "SowRequest.name is no resource's name; give it a resource_reference",
    ),
    "names_are_resource_names: parent": (
        "string seed = 1",
        "string parent = 1",
        "SowRequest.parent names a resource, and has no resource_reference",
    ),
    "references_state_their_type: none": (
        "// What is to be sown.",
        '// The bed to be sown, "beds/{id}".',
        "SowRequest.seed shows a resource's name in its comment",
    ),
    "references_state_their_type: none, without a message": (
        "// What is to be sown.",
        '// The well that it is watered from, "wells/{id}".',
        "SowRequest.seed shows a resource's name in its comment",
    ),
    "references_state_their_type: defined nowhere": (
        '  type: "celeriac.dev/Well"\n',
        '  type: "celeriac.dev/Spring"\n',
        "WaterRequest.well refers to celeriac.dev/Well, which is no resource's type",
    ),
    "references_state_their_type: unknown": (
        '(google.api.resource_reference).type = "celeriac.dev/Bed"',
        '(google.api.resource_reference).type = "celeriac.dev/Bad"',
        "Bed.neighbour refers to celeriac.dev/Bad",
    ),
    "fields_named_after_a_resource_refer_to_one": (
        "string seed = 1",
        "string first_bed = 1",
        "SowRequest.first_bed is named after a resource, and has no resource_reference",
    ),
    "fields_named_after_a_resource_refer_to_one: plural": (
        "string seed = 1",
        "repeated string beds = 1",
        "SowRequest.beds is named after a resource",
    ),
    "fields_named_after_a_resource_refer_to_one: without a message": (
        "string seed = 1",
        "string well = 1",
        "SowRequest.well is named after a resource",
    ),
    "lengths_of_time_are_durations": (
        "string seed = 1",
        "double pause_seconds = 1",
        "SowRequest.pause_seconds is a length of time, which is a google.protobuf.Duration",
    ),
    "lengths_of_time_are_durations: milliseconds": (
        "string seed = 1",
        "int64 pause_ms = 1",
        "SowRequest.pause_ms is a length of time",
    ),
    "readable_fields_name_a_role_of_the_order": (
        "readable_from) = ROLE_ADMIN",
        "readable_from) = ROLE_WRITER",
        "Bed.note has a readable_from",
    ),
    "methods_state_a_policy: none": (
        "option (celeriac.access.v1.policy) = {least_role: ROLE_ADMIN, audited: true};\n  }\n\n  // Takes",
        "}\n\n  // Takes",
        "GardenService.Sow has no option (celeriac.access.v1.policy)",
    ),
    "methods_state_a_policy: for nobody": (
        "policy) = {least_role: ROLE_ADMIN, audited: true};\n  }\n\n  // Takes water",
        "policy) = {audited: true};\n  }\n\n  // Takes water",
        "Sow has a policy that must either be public or name a least_role",
    ),
    "methods_state_a_policy: for everybody": (
        "policy) = {least_role: ROLE_ADMIN, audited: true};\n  }\n\n  // Takes water",
        "policy) = {least_role: ROLE_ADMIN, public: true};\n  }\n\n  // Takes water",
        "Sow has a policy that must either be public or name a least_role",
    ),
    "signatures_are_the_required_fields: order": (
        'method_signature) = "bed,bed_id"',
        'method_signature) = "bed_id,bed"',
        'CreateBed needs option (google.api.method_signature) = "bed,bed_id"',
    ),
    "signatures_are_the_required_fields: none": (
        '    option (google.api.method_signature) = "name";\n',
        "",
        'DeleteBed needs option (google.api.method_signature) = "name"',
    ),
    "signatures_are_the_required_fields: stream": (
        "  rpc Sow(stream SowRequest) returns (SowResponse) {\n",
        "  rpc Sow(stream SowRequest) returns (SowResponse) {\n"
        '    option (google.api.method_signature) = "";\n',
        "Sow takes a stream, and can have no method_signature",
    ),
    "paths_begin_with_v1: primary": (
        'get: "/v1/beds"\n',
        'get: "/celery-admin/all-beds"\n',
        "ListBeds has the primary path /celery-admin/all-beds",
    ),
    "paths_begin_with_v1: additional": (
        'get: "/celery-admin/beds"',
        'get: "/beds"',
        "ListBeds has the path /beds",
    ),
    "paths_begin_with_v1: none": (
        '    option (google.api.http) = {delete: "/v1/{name=beds/*}"};\n',
        "",
        "DeleteBed has no google.api.http",
    ),
    "paths_begin_with_v1: services": (
        'callers: ["scheduler"]};\n',
        'callers: ["scheduler"]};\n    option (google.api.http) = {post: "/v1/water" body: "*"};\n',
        "Water takes a stream or is for services",
    ),
    "bodies_suit_their_verbs: post": (
        'post: "/v1/beds" body: "*"',
        'post: "/v1/beds" body: "bed"',
        'CreateBed has POST with body "bed"',
    ),
    "bodies_suit_their_verbs: patch": ('body: "bed"}', 'body: "*"}', 'UpdateBed has PATCH with body "*"'),
    "bodies_suit_their_verbs: delete": (
        'delete: "/v1/{name=beds/*}"',
        'delete: "/v1/{name=beds/*}" body: "*"',
        'DeleteBed has DELETE with body "*"',
    ),
    "bodies_suit_their_verbs: put": (
        'patch: "/v1/{bed.name=beds/*}"',
        'put: "/v1/{bed.name=beds/*}"',
        "UpdateBed has the verb PUT",
    ),
    "lists_have_pages: size": (
        "int32 page_size = 1",
        "int32 size = 1",
        "ListBedsRequest needs the field `int32 page_size`",
    ),
    "lists_have_pages: token": (
        "string page_token = 2",
        "bytes page_token = 2",
        "ListBedsRequest needs the field `string page_token`",
    ),
    "lists_have_pages: next": (
        "string next_page_token = 2",
        "string next = 2",
        "ListBedsResponse needs the field `string next_page_token`",
    ),
    "lists_have_pages: entries": (
        "  repeated Bed beds = 1;",
        "  Bed beds = 1;",
        "ListBedsResponse is a list's answer, and must have one repeated field",
    ),
    "lists_have_pages: order": (
        "string order_by = 4",
        "Soil order = 4",
        "ListBedsRequest.order is an order of a list",
    ),
    "lists_have_pages: plural": (
        "repeated Soil soils = 3",
        "repeated Soil soil = 3",
        "ListBedsRequest.soil has several values",
    ),
    "watches_have_one_dialect: stream": (
        "returns (stream WatchBedsResponse)",
        "returns (WatchBedsResponse)",
        "WatchBeds is a watch, and must answer with a stream",
    ),
    "streams_have_a_cursor: request": (
        "string cursor = 1" + OPTIONAL,
        "int64 cursor = 1" + OPTIONAL,
        "WatchBedsRequest needs the field `string cursor`",
    ),
    "streams_have_a_cursor: answer": (
        "  string cursor = 1;",
        "  string place = 1;",
        "WatchBedsResponse needs the field `string cursor`",
    ),
    "streams_have_a_cursor: no watch": (
        "rpc Water(WaterRequest) returns (WaterResponse)",
        "rpc Water(WaterRequest) returns (stream WaterResponse)",
        "needs the field `string cursor`",
    ),
    "watches_have_one_dialect: left out": (
        "int64 left_out_count = 2",
        "int64 skipped = 2",
        "WatchBedsResponse needs the field `int64 left_out_count`",
    ),
    "watches_have_one_dialect: path": (
        '"/v1/beds:watch"',
        '"/v1/beds:follow"',
        "WatchBeds is a watch, and its path must end in :watch",
    ),
    "changes_have_a_request_id": (
        "string request_id = 3",
        "string id = 3",
        "CreateBedRequest needs the field `string request_id`",
    ),
}


@pytest.mark.parametrize(("old", "new", "told"), BREACHES.values(), ids=BREACHES)
def test_a_breach_is_told_alone_with_its_file_and_line(old: str, new: str, told: str, tmp_path: Path) -> None:
    assert old in SOUND
    faults = found(tmp_path, SOUND.replace(old, new, 1))
    file, line, _ = faults[0].split(":", 2)
    assert (file, line.isdigit()) == (FILE, True)
    assert [fault for fault in faults if told not in fault] == []


def test_a_resource_type_is_of_our_domain(tmp_path: Path) -> None:
    [fault] = found(tmp_path, SOUND.replace('"celeriac.dev/Bed"', '"example.com/Bed"'))
    assert "Bed is a resource, which needs a type celeriac.dev/" in fault


def test_every_rule_has_a_breach_here() -> None:
    assert {case.partition(":")[0] for case in BREACHES} == {rule.__name__ for rule in RULES}
