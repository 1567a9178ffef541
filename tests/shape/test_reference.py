"""The reference in docs/reference is what the contracts say, and its links lead somewhere."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from protos import reference
from protos.generate import PROTOS, described
from protos.markdown import anchor
from protos.reference_page import MARK

PAGES = sorted((PROTOS.parent / "docs/reference").glob("*.md"))
CONTRACT = """// Bells, and when they ring.
//
// A second paragraph.
syntax = "proto3";

package celeriac.bells.v1;

import "celeriac/access/v1/policy.proto";
import "google/api/annotations.proto";
import "google/api/field_behavior.proto";
import "google/api/resource.proto";
import "google/protobuf/duration.proto";

// Rings bells.
service BellService {
  // Rings a bell. NOT_FOUND if there is
  // none of that name; see WatchBells.
  rpc RingBell(RingBellRequest) returns (RingBellResponse) {
    option (celeriac.access.v1.policy) = {
      least_role: ROLE_ADMIN
      also: [ROLE_WRITER]
      audited: true
      timeout_seconds: 70
    };
    option (google.api.http) = {
      post: "/v1/{name=towers/*/bells/*}:ring"
      body: "*"
      additional_bindings {patch: "/v1/{bell.name=towers/*/bells/*}" body: "bell"}
    };
  }

  // Tells which bells ring.
  rpc WatchBells(WatchBellsRequest) returns (stream WatchBellsResponse) {
    option (celeriac.access.v1.policy) = {public: true};
  }
}

// A bell | of a tower.
message Bell {
  option (google.api.resource) = {type: "celeriac.dev/Bell" pattern: "towers/{tower}/bells/{bell}"};
  // Resource name.
  string name = 1 [(google.api.field_behavior) = IDENTIFIER];
  // How loud it is.
  Loudness loudness = 2 [(google.api.field_behavior) = OUTPUT_ONLY];
  // What is cast into it: `a|b` or *c*.
  map<string, string> words = 3 [
    (google.api.field_behavior) = OUTPUT_ONLY,
    (celeriac.access.v1.sensitive) = true
  ];
  // Its pitch or its note.
  oneof sound {
    // In hertz.
    double pitch = 4;
    // By name.
    string note = 5 [(celeriac.access.v1.readable_from) = ROLE_ADMIN];
  }
}

// How loud a bell is.
enum Loudness {
  LOUDNESS_UNSPECIFIED = 0;
  // As all bells are.
  LOUDNESS_LOUD = 1;
}

message RingBellRequest {
  // The bell.
  string name = 1 [
    (google.api.field_behavior) = REQUIRED,
    (google.api.resource_reference).type = "celeriac.dev/Bell"
  ];
  // How long.
  google.protobuf.Duration length = 2 [(google.api.field_behavior) = OPTIONAL];
}

message RingBellResponse {}

message WatchBellsRequest {}

message WatchBellsResponse {
  // Those that ring.
  repeated Bell bells = 1;
}
"""
PAGE = f"""{MARK}

# celeriac.bells.v1

Bells, and when they ring.

A second paragraph.

Services: [BellService](#bellservice). All packages: [reference](README.md).

## BellService

Rings bells.

| method | REST | role |
|---|---|---|
| [RingBell](#bellserviceringbell) | `POST /v1/towers/{{tower}}/bells/{{bell}}:ring`<br>\
`PATCH /v1/towers/{{tower}}/bells/{{bell}}` | admin, writer |
| [WatchBells](#bellservicewatchbells) | gRPC only | none |

### BellService.RingBell

Rings a bell. NOT_FOUND if there is none of that name; see [WatchBells](#bellservicewatchbells).

- gRPC: `celeriac.bells.v1.BellService/RingBell`
- REST: `POST /v1/towers/{{tower}}/bells/{{bell}}:ring`
- REST: `PATCH /v1/towers/{{tower}}/bells/{{bell}}`, with `bell` as its body
- Role: admin or above, or writer
- Recorded in the audit log
- Time limit: 70 seconds

**Request**: `RingBellRequest`

| field | type |  | meaning |
|---|---|---|---|
| `name` | string, name of [Bell](#bell) | required | The bell. |
| `length` | [Duration](https://protobuf.dev/reference/protobuf/google.protobuf/#duration) | optional | \
How long. |

**Response**: `RingBellResponse`, which has no fields

### BellService.WatchBells

Tells which bells ring.

- gRPC: `celeriac.bells.v1.BellService/WatchBells`
- Role: none, it is called without a token
- Time limit: none

**Request**: `WatchBellsRequest`, which has no fields

**Response**: a stream of `WatchBellsResponse`

| field | type | meaning |
|---|---|---|
| `bells` | list of [Bell](#bell) | Those that ring. |

## Messages

### Bell

A bell | of a tower.

A resource of the type `celeriac.dev/Bell`. Its name is `towers/{{tower}}/bells/{{bell}}`.

| field | type |  | meaning |
|---|---|---|---|
| `name` | string | identifier | Resource name. |
| `loudness` | [Loudness](#loudness) | output only | How loud it is. |
| `words` | map of string to string | output only | What is cast into it: `a\\|b` or \\*c\\*. \
Redacted in logs and in the audit log. |
| `pitch` | double |  | In hertz. |
| `note` | string |  | By name. Only the role admin and above reads it; others get "\\[redacted\\]". |

At most one of `pitch`, `note` is set. Its pitch or its note.

## Enums

### Loudness

How loud a bell is.

| value | number | meaning |
|---|---|---|
| `LOUDNESS_UNSPECIFIED` | 0 | Not set. |
| `LOUDNESS_LOUD` | 1 | As all bells are. |
"""


@pytest.fixture
def bells(tmp_path: Path) -> Path:
    """The contract above, beside the one with the options that it uses."""
    shutil.copytree(PROTOS / "celeriac/access", tmp_path / "celeriac/access")
    file = tmp_path / "celeriac/bells/v1/bells.proto"
    file.parent.mkdir(parents=True)
    file.write_text(CONTRACT)
    return tmp_path


def test_a_page_says_all_that_its_contract_says(bells: Path) -> None:
    pages = reference.pages(described(bells))
    assert pages["celeriac.bells.v1.md"] == PAGE
    assert "[BellService.RingBell](celeriac.bells.v1.md#bellserviceringbell)" in pages["README.md"]
    assert "- `bells.proto`: Bells, and when they ring.\n" in pages["README.md"]


def test_there_is_a_page_for_each_package() -> None:
    packages = {path.relative_to(PROTOS).parent for path in (PROTOS / "celeriac").rglob("*.proto")}
    assert {page.stem for page in PAGES} == {"README", *(".".join(package.parts) for package in packages)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.name))
def test_each_link_leads_to_a_heading(page: Path) -> None:
    for target, place in re.findall(r"\]\(([\w.]*)#([\w-]+)\)", page.read_text()):
        headings = re.findall(
            r"^#+ (.*)$", (page.parent / target if target else page).read_text(), re.MULTILINE
        )
        assert [anchor(heading) for heading in headings].count(place) == 1, f"{target}#{place}"
