"""`make protos-lint` and `make protos-breaking` really catch what they are there for."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from protos.checks import breaking, lint, release
from protos.generate import PROTOS

SCHEDULES = "celeriac/scheduler/v1/schedules.proto"


@pytest.fixture
def contracts(tmp_path: Path) -> Path:
    """A copy of the contracts, to be spoilt."""
    shutil.copytree(PROTOS / "celeriac", tmp_path / "celeriac")
    return tmp_path


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the contracts promise as they are."""
    promise = tmp_path_factory.mktemp("released") / "released.binpb"
    release(PROTOS, promise)
    return promise


def edit(contracts: Path, old: str, new: str) -> None:
    file = contracts / SCHEDULES
    before = file.read_text()
    assert old in before
    file.write_text(before.replace(old, new, 1))


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (
            "  // Why it is paused, at most 1,000 characters. Changed together with `paused`.\n",
            "",
            '"pause_note" should have a non-empty comment',
        ),
        ("string pause_note = 5", "string pauseNote = 5", '"pauseNote" should be lower_snake_case'),
        ("RUN_STATE_SKIPPED", "SKIPPED", 'should be prefixed with "RUN_STATE_"'),
        ("service ScheduleService", "service Schedules", 'should be suffixed with "Service"'),
        (
            "rpc GetSchedule(GetScheduleRequest)",
            "rpc GetSchedule(DeleteScheduleRequest)",
            "for multiple RPCs",
        ),
    ],
)
def test_a_contract_against_the_rules_is_told_with_its_file_and_line(
    contracts: Path, old: str, new: str, told: str
) -> None:
    assert lint(contracts) == []
    edit(contracts, old, new)
    faults = lint(contracts)
    assert any(told in fault and SCHEDULES in fault for fault in faults), faults


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (
            "  string pause_note = 5 [(google.api.field_behavior) = OPTIONAL];\n",
            "",
            'field "5" with name "pause_note" on message "Schedule" was deleted',
        ),
        ("  string pause_note = 5 ", "  bytes pause_note = 5 ", 'changed type from "string" to "bytes"'),
        ("  string pause_note = 5 ", "  string pause_note = 50 ", "was deleted"),
        ("rpc GetSchedule(", "rpc FetchSchedule(", '"GetSchedule" on service "ScheduleService" was deleted'),
        ("RUN_STATE_SKIPPED = 3", "RUN_STATE_SKIPPED = 99", 'enum value "3"'),
        (
            'get: "/v1/{name=schedules/*}"',
            'get: "/v2/{name=schedules/*}"',
            "GetSchedule: its path was GET /v1/{name=schedules/*}",
        ),
        ('additional_bindings {get: "/v1/runs"}', "", "ListRuns: its path was GET /v1/runs"),
    ],
)
def test_a_change_that_breaks_clients_is_told(
    contracts: Path, released: Path, old: str, new: str, told: str
) -> None:
    edit(contracts, old, new)
    faults = breaking(contracts, released)
    assert any(told in fault for fault in faults), faults


def test_a_field_that_is_added_breaks_nobody(contracts: Path, released: Path) -> None:
    edit(
        contracts,
        "  string pause_note = 5 [(google.api.field_behavior) = OPTIONAL];\n",
        "  string pause_note = 5 [(google.api.field_behavior) = OPTIONAL];\n"
        "  // The person who paused it.\n"
        "  string pauser = 99 [(google.api.field_behavior) = OUTPUT_ONLY];\n",
    )
    assert lint(contracts) == []
    assert breaking(contracts, released) == []


def test_a_contract_that_is_taken_away_is_told(contracts: Path, released: Path) -> None:
    (contracts / "celeriac/scheduler/v1/schedules.proto").unlink()
    assert any("was deleted" in fault for fault in breaking(contracts, released))


def test_a_contract_that_does_not_compile_is_not_taken_for_a_good_one(contracts: Path) -> None:
    edit(contracts, "string pause_note = 5 ", "strin pause_note = 5 ")
    with pytest.raises(SystemExit):
        lint(contracts)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (
            """(google.api.field_behavior) = OPTIONAL,
    (celeriac.access.v1.readable_from) = ROLE_ADMIN
  ];
}""",
            "(google.api.field_behavior) = OPTIONAL\n  ];\n}",
            "TaskSpec.headers: its option `readable_from` must stay",
        ),
        (
            """  rpc GetSchedule(GetScheduleRequest) returns (GetScheduleResponse) {
    option (celeriac.access.v1.policy) = {least_role: ROLE_VIEWER};""",
            """  rpc GetSchedule(GetScheduleRequest) returns (GetScheduleResponse) {
    option (celeriac.access.v1.policy) = {least_role: ROLE_SUPER_ADMIN};""",
            "ScheduleService.GetSchedule: `least_role` of its policy was 1 and must stay",
        ),
        (
            "string description = 6 [(google.api.field_behavior) = OPTIONAL]",
            "string description = 6 [(google.api.field_behavior) = REQUIRED]",
            "Schedule.description: it was not required",
        ),
        (
            'pattern: "schedules/{schedule}/runs/{run}"',
            'pattern: "schedules/{schedule}/executions/{run}"',
            "v1.Run: as a resource it was",
        ),
    ],
)
def test_an_option_that_was_promised_must_stay(
    contracts: Path, released: Path, old: str, new: str, told: str
) -> None:
    edit(contracts, old, new)
    faults = breaking(contracts, released)
    assert any(told in fault for fault in faults), faults
