"""Messages as Python values, and Python values as requests."""

from __future__ import annotations

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from celeriac.calls.request import fill
from celeriac.calls.views import view
from celeriac.embedder.v1 import embedding_pb2, search_pb2
from celeriac.monitor.v1 import queues_pb2, tasks_pb2
from celeriac.operations.v1 import operations_pb2
from celeriac.scheduler.v1 import config_pb2, schedules_pb2

TAIPEI = ZoneInfo("Asia/Taipei")


def filled(message: Any, **values: Any) -> Any:
    fill(message, values)
    return message


def test_times_are_aware_and_unset_ones_are_none() -> None:
    schedule = schedules_pb2.Schedule()
    schedule.next_run_time.FromJsonString("2026-12-01T03:30:00.123456Z")
    found = view(schedule)
    assert found.next_run_time == dt.datetime(2026, 12, 1, 3, 30, 0, 123456, tzinfo=dt.UTC)
    assert found.last_run_time is None


def test_durations_are_timedeltas() -> None:
    run = schedules_pb2.Run()
    run.runtime.FromMilliseconds(1500)
    assert view(run).runtime == dt.timedelta(seconds=1.5)


def test_enums_are_their_names_and_unspecified_is_none() -> None:
    assert view(tasks_pb2.Task(state=tasks_pb2.TASK_STATE_FAILURE)).state == "FAILURE"
    assert view(tasks_pb2.Task()).state is None


def test_a_state_that_the_client_does_not_know_yet_is_its_number() -> None:
    newer = tasks_pb2.Task.FromString(b"\x18\x63")
    assert view(newer).state == "99"


def test_json_is_a_python_value_unless_it_is_hidden() -> None:
    spec = schedules_pb2.TaskSpec(args_json='[1, "語音"]', kwargs_json="[redacted]")
    assert (view(spec).args, view(spec).kwargs) == ([1, "語音"], "[redacted]")
    assert view(schedules_pb2.TaskSpec()).args is None


def test_optional_figures_tell_zero_from_unknown() -> None:
    assert view(queues_pb2.Queue(consumer_count=0)).consumer_count == 0
    assert view(queues_pb2.Queue()).consumer_count is None


def test_a_value_of_the_configuration_is_a_python_value() -> None:
    config = config_pb2.Config(value=config_pb2.ConfigValue(bool_value=False))
    assert view(config).value is False
    assert view(config).default_value is None


def test_free_data_are_a_dict() -> None:
    operation = operations_pb2.Operation()
    operation.metadata.update({"queue": "ai_analysis"})
    assert view(operation).metadata == {"queue": "ai_analysis"}


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (schedules_pb2.Schedule(name="schedules/nightly"), "nightly"),
        (schedules_pb2.Run(name="schedules/nightly/runs/r1"), "r1"),
        (tasks_pb2.Task(name="tasks/a/b"), "a/b"),
    ],
)
def test_an_id_is_the_name_without_its_collection(message: Any, expected: str) -> None:
    assert view(message).id == expected


def test_a_misspelt_attribute_is_told_with_those_that_are_there() -> None:
    with pytest.raises(AttributeError, match="next_run_time"):
        _ = view(schedules_pb2.Schedule()).next_time


def test_a_view_is_equal_to_one_of_an_equal_message_and_prints_what_is_set() -> None:
    schedule = schedules_pb2.Schedule(name="schedules/a", paused=True)
    assert view(schedule) == view(schedules_pb2.Schedule(name="schedules/a", paused=True))
    assert repr(view(schedule)) == "Schedule(name='schedules/a', paused=True)"


def test_vectors_are_an_array_of_numpy() -> None:
    rows = np.arange(6, dtype="<f4").reshape(2, 3)
    found = view(embedding_pb2.EmbedResponse(vectors=rows.tobytes(), dimension=3)).vectors
    assert found.dtype == np.float32
    assert (found == rows).all()


def test_vectors_without_numpy_are_lists_of_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "numpy", None)
    raw = b"\x00\x00\x80\x3f\x00\x00\x00\x40"
    found = view(embedding_pb2.EmbedResponse(vectors=raw, dimension=1)).vectors
    assert [list(row) for row in found] == [[1.0], [2.0]]


def test_a_short_name_becomes_that_of_the_resource() -> None:
    assert filled(schedules_pb2.GetScheduleRequest(), name="nightly").name == "schedules/nightly"
    assert filled(schedules_pb2.GetScheduleRequest(), name="schedules/a").name == "schedules/a"
    assert filled(schedules_pb2.ListRunsRequest(), parent="nightly").parent == "schedules/nightly"
    queues = filled(schedules_pb2.ListSchedulesRequest(), queues=["a", "queues/b"]).queues
    assert list(queues) == ["queues/a", "queues/b"]


def test_a_view_stands_for_its_name() -> None:
    run = view(schedules_pb2.Run(name="schedules/nightly/runs/r1"))
    assert filled(schedules_pb2.GetRunRequest(), name=run).name == "schedules/nightly/runs/r1"


def test_one_text_is_a_list_of_one() -> None:
    assert list(filled(schedules_pb2.ListSchedulesRequest(), labels="team=rvt").labels) == ["team=rvt"]


def test_a_schedule_is_a_dict_of_python_values() -> None:
    request = filled(
        schedules_pb2.CreateScheduleRequest(),
        schedule={
            "name": "nightly",
            "task": {"task_name": "rvt.report", "args": [1], "kwargs": {"月": "十二"}, "queue": "q"},
            "timing": {"crontab": "0 3 * * *", "time_zone": "Asia/Taipei"},
            "labels": {"team": "rvt"},
            "overlap_policy": "skip",
            "jitter": dt.timedelta(minutes=1),
            "start_time": dt.datetime(2026, 12, 1, tzinfo=TAIPEI),
        },
    )
    schedule = request.schedule
    assert schedule.name == "schedules/nightly"
    assert (schedule.task.args_json, schedule.task.kwargs_json) == ("[1]", '{"月": "十二"}')
    assert schedule.timing.crontab.expression == "0 3 * * *"
    assert schedule.overlap_policy == schedules_pb2.OVERLAP_POLICY_SKIP
    assert schedule.jitter.seconds == 60
    assert schedule.start_time.ToJsonString() == "2026-11-30T16:00:00Z"


def test_a_time_without_a_zone_is_refused_with_an_example() -> None:
    naive = dt.datetime(2026, 12, 1, 3, 30)
    with pytest.raises(ValueError, match=r"start_time .* has no time zone.*Asia/Taipei"):
        filled(tasks_pb2.ListTasksRequest(), start_time=naive)


def test_a_time_keeps_its_microseconds() -> None:
    time = dt.datetime(2026, 12, 1, 3, 30, 0, 123457, tzinfo=TAIPEI)
    request = filled(tasks_pb2.ListTasksRequest(), start_time=time)
    assert request.start_time.nanos == 123457000


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"states": "FAILUR"}, "states.0. can't be 'FAILUR'; did you mean FAILURE"),
        ({"state": "FAILURE"}, "state is not a field of ListTasksRequest; did you mean states"),
        ({"start_time": "yesterday"}, "start_time is a str; it has to be a datetime"),
        ({"text": 5}, "text is an? int; it has to be a str"),
        ({"page_size": "5"}, "page_size is a str; it has to be an int"),
        ({"page_size": True}, "page_size is a bool; it has to be an int"),
    ],
)
def test_what_does_not_fit_is_refused_by_the_name_of_its_field(values: dict[str, Any], told: str) -> None:
    with pytest.raises((ValueError, TypeError), match=told):
        filled(tasks_pb2.ListTasksRequest(), **values)


def test_what_can_not_be_json_is_refused() -> None:
    with pytest.raises(TypeError, match="args can't be written as JSON"):
        filled(tasks_pb2.RunTaskRequest(), task_name="x", args=[object()])


def test_arguments_may_be_any_iterable_that_json_takes() -> None:
    assert filled(tasks_pb2.RunTaskRequest(), args=(1, 2)).args_json == "[1, 2]"


def test_none_leaves_a_field_unset_and_false_does_not() -> None:
    request = filled(schedules_pb2.ListSchedulesRequest(), text=None, paused=False)
    assert not request.text
    assert request.HasField("paused")


@pytest.mark.parametrize("value", [True, 5, 0.5, "x", dt.timedelta(seconds=3)])
def test_a_value_of_the_configuration_is_set_by_its_type(value: Any) -> None:
    request = filled(config_pb2.SetConfigRequest(), name="a", value=value)
    assert view(request).value == value
    assert type(view(request).value) is type(value)


def test_a_vector_may_be_numbers_or_an_array() -> None:
    for vector in ([1.0, 2.0], np.array([1.0, 2.0])):
        request = filled(search_pb2.SearchMessagesRequest(), vector=vector)
        assert request.vector == b"\x00\x00\x80\x3f\x00\x00\x00\x40"
