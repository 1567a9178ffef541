"""Sets of schedules through the service: applied whole or not at all, pruned within bounds, exported."""

from __future__ import annotations

import json
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
import yaml
from celeriac.scheduler.v1 import manifests_pb2 as pb
from celeriac.scheduler.v1 import manifests_pb2_grpc, schedules_pb2

from deploy.standalone.tokens import LocalIssuer
from tests.support.calls import Caller, fields_at_fault, refused
from tests.support.schedulers import Scheduler
from tests.support.yaml_text import read_yaml

Code = grpc.StatusCode


@pytest.fixture
def team() -> str:
    """The label value of a set of its own."""
    return f"t-{uuid.uuid4().hex[:8]}"


def entry(team: str, name: str, **fields: Any) -> dict[str, Any]:
    """A schedule of the team that does not come due while tests run."""
    usual = {"task": "report", "crontab": "0 0 29 2 *", "labels": {"team": team}}
    return {"id": f"{team}-{name}", **usual, **fields}


def manifest(*entries: dict[str, Any]) -> str:
    return yaml.safe_dump({"schedules": entries})


def apply(manifests: Any, text: str, **how: Any) -> pb.Difference:
    found: pb.Difference = manifests.ApplySchedules(pb.ApplySchedulesRequest(manifest=text, **how)).difference
    return found


def counts(found: pb.Difference) -> tuple[int, int, int, int]:
    return found.create_count, found.change_count, found.remove_count, found.unchanged_count


def exported(manifests: Any, team: str) -> str:
    request = pb.ExportSchedulesRequest(labels=[f"team={team}"])
    text: str = manifests.ExportSchedules(request).manifest
    return text


def ids(manifests: Any, team: str) -> list[str]:
    found = read_yaml(exported(manifests, team))["schedules"]
    return [each["id"].removeprefix(f"{team}-") for each in found]


def test_a_set_is_created_changed_and_pruned_and_then_unchanged(manifests: Any, team: str) -> None:
    first = manifest(entry(team, "a"), entry(team, "b"))
    assert counts(apply(manifests, first)) == (2, 0, 0, 0)
    assert counts(apply(manifests, first)) == (0, 0, 0, 2)
    second = manifest(entry(team, "b", queue="reports"), entry(team, "c"))
    made = apply(manifests, second, prune_label=f"team={team}")
    assert counts(made) == (1, 1, 1, 0)
    assert made.text == (
        f"- {team}-a\n"
        f"~ {team}-b\n"
        "    queue: celery → reports\n"
        f"+ {team}-c\n"
        "    task: report\n"
        "    queue: celery\n"
        "    crontab: 0 0 29 2 *\n"
        "    zone: Asia/Taipei\n"
        f"    labels.team: {team}\n"
        "1 created, 1 changed, 1 removed, 0 unchanged\n"
    )
    assert [(change.name, change.kind) for change in made.changes] == [
        (f"schedules/{team}-a", pb.CHANGE_KIND_REMOVE),
        (f"schedules/{team}-b", pb.CHANGE_KIND_CHANGE),
        (f"schedules/{team}-c", pb.CHANGE_KIND_CREATE),
    ]
    assert ids(manifests, team) == ["b", "c"]


def test_what_is_only_validated_tells_the_difference_and_changes_nothing(manifests: Any, team: str) -> None:
    apply(manifests, manifest(entry(team, "a")))
    before, text = exported(manifests, team), manifest(entry(team, "b"))
    told = apply(manifests, text, validate_only=True, prune_label=f"team={team}")
    assert counts(told) == (1, 0, 1, 0)
    assert exported(manifests, team) == before
    made = apply(manifests, text, prune_label=f"team={team}", etag=told.etag)
    assert (made.text, made.etag) == (told.text, told.etag)
    assert ids(manifests, team) == ["b"]


def test_another_difference_than_the_one_that_was_seen_is_not_made(
    manifests: Any, schedules: Any, team: str
) -> None:
    apply(manifests, manifest(entry(team, "a")))
    text = manifest(entry(team, "a", queue="reports"))
    seen = apply(manifests, text, validate_only=True)
    schedules.PauseSchedule(schedules_pb2.PauseScheduleRequest(name=f"schedules/{team}-a"))
    request = pb.ApplySchedulesRequest(manifest=text, etag=seen.etag)
    code, message = refused(manifests.ApplySchedules, request)
    assert code is Code.ABORTED
    now = apply(manifests, text, validate_only=True)
    assert now.etag in message
    other = pb.ApplySchedulesRequest(manifest=text + "\n", etag=now.etag)
    assert refused(manifests.ApplySchedules, other)[0] is Code.ABORTED
    assert counts(apply(manifests, text, etag=now.etag)) == (0, 1, 0, 0)


def test_an_operators_pause_outlasts_the_next_apply(manifests: Any, schedules: Any, team: str) -> None:
    name = f"schedules/{team}-a"
    apply(manifests, manifest(entry(team, "a")))
    schedules.PauseSchedule(schedules_pb2.PauseScheduleRequest(name=name, note="until the move is over"))
    apply(manifests, manifest(entry(team, "a", queue="reports")))
    stored = schedules.GetSchedule(schedules_pb2.GetScheduleRequest(name=name)).schedule
    assert (stored.paused, stored.task.queue) == (True, "queues/reports")
    assert not stored.HasField("next_run_time")
    resumed = apply(manifests, manifest(entry(team, "a", queue="reports", paused=False)))
    assert "paused: true → (not set)" in resumed.text
    stored = schedules.GetSchedule(schedules_pb2.GetScheduleRequest(name=name)).schedule
    assert not stored.paused
    assert stored.HasField("next_run_time")


def test_one_fault_and_nothing_is_changed(manifests: Any, team: str) -> None:
    text = manifest(entry(team, "a"), entry(team, "b", crontab="0 99 * * *"), entry(team, "c", queue=5))
    request = pb.ApplySchedulesRequest(manifest=text)
    assert fields_at_fault(manifests.ApplySchedules, request) == [
        "schedules[1].crontab",
        "schedules[2].queue",
    ]
    assert ids(manifests, team) == []


def test_no_set_removes_or_takes_what_is_anothers(manifests: Any, team: str) -> None:
    other = f"{team}-other"
    apply(manifests, manifest(entry(team, "a"), entry(team, "free", labels={})))
    apply(manifests, manifest(entry(other, "x")), prune_label=f"team={other}")
    assert ids(manifests, team) == ["a"]
    taken = manifest(entry(team, "a", labels={"team": other}))
    request = pb.ApplySchedulesRequest(manifest=taken, prune_label=f"team={other}")
    assert fields_at_fault(manifests.ApplySchedules, request) == ["schedules[0].id"]
    lacking = pb.ApplySchedulesRequest(manifest=manifest(entry(team, "a")), prune_label=f"team={other}")
    assert fields_at_fault(manifests.ApplySchedules, lacking) == ["schedules[0].labels.team"]
    # One that belongs to nobody may be taken into a set.
    adopted = manifest(entry(team, "a"), entry(team, "free"))
    assert counts(apply(manifests, adopted, prune_label=f"team={team}")) == (0, 1, 0, 1)
    assert ids(manifests, other) == ["x"]


def test_many_at_once_come_out_as_one_of_them(manifests: Any, team: str) -> None:
    """Each is a whole set; whichever is the last, the stored one is that one, whole."""
    texts = [
        manifest(*(entry(team, f"{n}", description=f"of {k}") for n in range(k, k + 20))) for k in range(8)
    ]
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda text: apply(manifests, text, prune_label=f"team={team}"), texts))
    assert sum(found.create_count for found in made) >= 20
    stored = read_yaml(exported(manifests, team))["schedules"]
    (description,) = {each["description"] for each in stored}
    first = int(description.removeprefix("of "))
    assert sorted(each["id"] for each in stored) == sorted(f"{team}-{n}" for n in range(first, first + 20))


def test_a_set_meets_schedules_that_are_created_meanwhile(manifests: Any, schedules: Any, team: str) -> None:
    """Whoever is first creates it; the set then finds it there, or is the one that it is refused for."""

    def create(number: int) -> None:
        timing = schedules_pb2.Timing(crontab=schedules_pb2.Crontab(expression="0 0 29 2 *"))
        schedule = schedules_pb2.Schedule(
            name=f"schedules/{team}-{number}", task=schedules_pb2.TaskSpec(task_name="report"), timing=timing
        )
        try:
            schedules.CreateSchedule(schedules_pb2.CreateScheduleRequest(schedule=schedule))
        except grpc.RpcError as error:
            assert error.code() is Code.ALREADY_EXISTS

    text = manifest(*(entry(team, str(number)) for number in range(60)))
    with ThreadPoolExecutor(5) as pool:
        creating = [pool.submit(create, number) for number in range(60)]
        applied = pool.submit(apply, manifests, text)
        for each in creating:
            each.result()
    found = applied.result()
    assert sum(counts(found)) == 60
    assert counts(apply(manifests, text)) == (0, 0, 0, 60)


def test_ten_thousand_go_in_come_out_and_are_unchanged(manifests: Any, team: str) -> None:
    entries = [entry(team, f"{number:05}", kwargs={"number": number}) for number in range(10_000)]
    text = json.dumps({"schedules": entries})
    assert counts(apply(manifests, text, prune_label=f"team={team}")) == (10_000, 0, 0, 0)
    request = pb.ExportSchedulesRequest(labels=[f"team={team}"], format=pb.MANIFEST_FORMAT_JSON)
    found = manifests.ExportSchedules(request)
    assert found.count == 10_000
    assert counts(apply(manifests, found.manifest)) == (0, 0, 0, 10_000)
    everything = refused(manifests.ExportSchedules, pb.ExportSchedulesRequest())
    assert everything[0] is Code.FAILED_PRECONDITION
    assert "by label" in everything[1]
    emptied = apply(manifests, '{"schedules": []}', prune_label=f"team={team}")
    assert counts(emptied) == (0, 0, 10_000, 0)


def test_an_export_is_filtered_and_has_two_formats(manifests: Any, team: str) -> None:
    apply(manifests, manifest(entry(team, "a", queue=f"q-{team}"), entry(team, "b", task=f"task-{team}")))
    filters: list[dict[str, Any]] = [
        {"queues": [f"queues/q-{team}"]},
        {"task_names": [f"task-{team}"]},
        {"labels": [f"team={team}"]},
    ]
    for wanted in filters:
        found = manifests.ExportSchedules(pb.ExportSchedulesRequest(**wanted))
        as_json = manifests.ExportSchedules(
            pb.ExportSchedulesRequest(**wanted, format=pb.MANIFEST_FORMAT_JSON)
        )
        assert json.loads(as_json.manifest) == read_yaml(found.manifest)
        expected = 2 if "labels" in wanted else 1
        assert found.count == len(read_yaml(found.manifest)["schedules"]) == expected
    wrong = pb.ExportSchedulesRequest(labels=["team"], format=7)  # type: ignore[arg-type]
    assert fields_at_fault(manifests.ExportSchedules, wrong) == ["labels[0]", "format"]


def test_a_viewer_neither_exports_nor_applies(
    lone_scheduler: Scheduler, tokens: LocalIssuer, team: str
) -> None:
    stub = manifests_pb2_grpc.ManifestServiceStub(lone_scheduler.channel)
    viewer = Caller(stub, tokens.mint("viewer", subject="vi"))
    for call, request in (
        (viewer.ApplySchedules, pb.ApplySchedulesRequest(manifest="schedules: []", validate_only=True)),
        (viewer.ImportSchedules, pb.ImportSchedulesRequest(dump="{}", validate_only=True)),
        (viewer.ExportSchedules, pb.ExportSchedulesRequest(labels=[f"team={team}"])),
    ):
        assert refused(call, request)[0] is Code.PERMISSION_DENIED
