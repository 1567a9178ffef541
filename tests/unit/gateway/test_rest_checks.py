"""What REST callers may write and what they are told, by the program in a LuaJIT, on the real contracts."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.envoy.contracts import installed_contracts
from tests.support.rest_script import Judged, RestScript

CREATE = "/v1/schedules"


@pytest.fixture(scope="module")
def script() -> RestScript:
    return RestScript(installed_contracts())


def created(script: RestScript, body: Any) -> Judged:
    return script.judge("POST", CREATE, body)


def nested(depth: int) -> bytes:
    return b'{"schedule": {"task": {"args": ' + b"[" * depth + b"]" * depth + b"}}}"


WRONG_FIELDS: dict[str, tuple[Any, str, str]] = {
    "a misspelt field": (
        {"schedule": {"descripton": "x"}},
        "schedule.descripton",
        'is not a field of Schedule; did you mean description?; for example: {"description": "text"}',
    ),
    "a field of an inner message": (
        {"schedule": {"task": {"kwarg": {}}}},
        "schedule.task.kwarg",
        'is not a field of TaskSpec; did you mean kwargs?; for example: {"kwargs": {"limit": 10}}',
    ),
    "another writing of a name": (
        {"schedule": {"time-zone": "x", "overlapPolicy": "SKIP", "OverlapPolicy": "SKIP"}},
        "schedule.OverlapPolicy",
        'is not a field of Schedule; did you mean overlap_policy?; for example: {"overlap_policy": "ALLOW"}',
    ),
    "the outer field is missing": (
        {"name": "schedules/x"},
        "name",
        "is not a field of CreateScheduleRequest but of its field schedule; for example: "
        '{"schedule": {"name": …}}',
    ),
    "no known name is near": (
        {"zzzzz": 1},
        "zzzzz",
        "is not a field of CreateScheduleRequest, which has schedule, request_id; for example: "
        '{"schedule": {"name": "schedules/example"}}',
    ),
    "two of a oneof": (
        {"schedule": {"timing": {"crontab": {}, "interval": {"every": "5s"}}}},
        "schedule.timing.interval",
        "is there beside crontab: only one of crontab, interval, once, solar may be; for example: "
        '{"interval": {"every": "30s"}}',
    ),
    "both kinds of a name": (
        {"requestId": "x", "request_id": "y"},
        "request_id",
        'appears twice, as requestId and as request_id; for example: {"request_id": "text"}',
    ),
    "arguments in both forms": (
        {"schedule": {"task": {"args_json": "[]", "args": []}}},
        "schedule.task.args_json",
        'appears twice, as args_json and as args; for example: {"args": [2, 3]}',
    ),
    "no name of an enum": (
        {"schedule": {"overlap_policy": "SKPI"}},
        "schedule.overlap_policy",
        'is "SKPI", not one of the values of OverlapPolicy; did you mean SKIP?; '
        'for example: {"overlap_policy": "ALLOW"}',
    ),
    "a list for a message": (
        {"schedule": []},
        "schedule",
        'is a list, not an object; for example: {"name": "schedules/example"}',
    ),
    "a number for a text": (
        {"schedule": {"labels": {"team": 5}}},
        "schedule.labels.team",
        'is a number, not a text; for example: "text"',
    ),
    "a word for a switch": (
        {"schedule": {"paused": "maybe"}},
        "schedule.paused",
        'is "maybe", not true or false; for example: true',
    ),
    "no time": (
        {"schedule": {"create_time": "yesterday"}},
        "schedule.create_time",
        'is "yesterday", not a time, as RFC 3339 has it; for example: "2026-11-30T08:00:00Z"',
    ),
}


@pytest.mark.parametrize(("body", "field", "told"), WRONG_FIELDS.values(), ids=WRONG_FIELDS)
def test_a_wrong_field_is_told_with_its_path_its_fault_and_an_example(
    body: Any, field: str, told: str, script: RestScript
) -> None:
    judged = created(script, body)
    assert judged.faults[field] == told
    assert f"{field} {told}" in judged.message
    assert judged.answer["code"] == 3
    assert judged.answer["details"][1]["request_id"] == "ticket-1"


DOUBLED = {
    "of a message": (b'{"schedule": {"paused": true, "paused": false}}', "schedule.paused"),
    "of a map": (b'{"schedule": {"labels": {"a": "1", "\\u0061": "2"}}}', "schedule.labels.a"),
    "of an argument": (
        b'{"schedule": {"task": {"kwargs": {"x": [{"a": 1, "a": 1}]}}}}',
        "schedule.task.kwargs",
    ),
    "of an argument, one with what only looks like a surrogate": (
        rb'{"schedule": {"task": {"kwargs": {"\\ud83d\u1234": 1, "\\ud83d' + "\u1234".encode() + b'": 2}}}}',
        "schedule.task.kwargs",
    ),
    "the outer one": (b'{"schedule": {}, "schedule": {}}', "schedule"),
}


@pytest.mark.parametrize(("body", "field"), DOUBLED.values(), ids=DOUBLED)
def test_a_name_that_is_there_twice_is_told_at_any_depth(body: bytes, field: str, script: RestScript) -> None:
    faults = created(script, body).faults
    [name] = faults
    assert name.startswith(field)
    assert "appears twice" in faults[name]


def test_all_faults_are_told_at_once_but_no_more_than_twenty(script: RestScript) -> None:
    faults = created(script, {"schedule": {"a1": 1, "paused": 3}, "b1": 2}).faults
    assert set(faults) == {"schedule.a1", "schedule.paused", "b1"}
    assert len(created(script, {f"x{number}": 1 for number in range(1000)}).faults) == 20


TEXTS = {
    "a comma too many": (b'{"schedule": {\n  "name": "a",\n}}', "found '}'", 3, 1),
    "no end": (b'{"schedule": ', "Unexpected end", 1, 14),
    "no end of a text": (b'{"schedule": "x', "no closing quote", 1, 14),
    "no JSON": (b"schedule=1", "found 's'", 1, 1),
    "no object": (b"[]", "found '['", 1, 1),
    "null": (b"null", "found 'n'", 1, 1),
    "something after the end": (b"{} {}", "the end of the body", 1, 4),
    "single quotes": (b"{'a': 1}", "a name in double quotes", 1, 2),
    "a byte order mark": (b"\xef\xbb\xbf{}", "0xEF", 1, 1),
    "NaN": (b'{"schedule": NaN}', "a value", 1, 14),
    "a leading zero": (b'{"schedule": 01}', "leading zeros", 1, 14),
    "a column after characters of several bytes": ('{"schedule": {"名稱五": }'.encode(), "a value", 1, 22),
    "a bare line break in a text": (b'{"schedule": {"description": "a\nb"}}', "control character", 1, 32),
    "an unknown escape": (b'{"schedule": {"description": "\\x41"}}', "An escape", 1, 31),
    "half a character": (b'{"schedule": {"description": "\\ud83d"}}', "lone surrogate", 1, 31),
    "not UTF-8": (b'{"schedule": {"description": "\xff"}}', "not UTF-8", 1, 31),
    "a surrogate in UTF-8": (b'{"schedule": {"description": "\xed\xa0\x80"}}', "not UTF-8", 1, 31),
    "an overlong form": (b'{"schedule": {"description": "\xc0\xaf"}}', "not UTF-8", 1, 31),
    "a character cut off": (b'{"schedule": {"description": "\xe4\xba"}}', "not UTF-8", 1, 31),
}


@pytest.mark.parametrize(("body", "word", "line", "column"), TEXTS.values(), ids=TEXTS)
def test_what_is_no_json_is_told_with_line_and_column(
    body: bytes, word: str, line: int, column: int, script: RestScript
) -> None:
    judged = created(script, body)
    assert word in judged.message
    assert f"(line {line}, column {column})" in judged.message
    assert judged.answer["details"][0]["metadata"] == {"line": str(line), "column": str(column)}
    assert "for example: {" in judged.message


def test_a_body_may_be_nested_a_hundred_levels_deep_and_no_deeper(script: RestScript) -> None:
    assert created(script, nested(97)).answer is None
    assert "100 levels deep" in created(script, nested(98)).message
    assert "100 levels deep" in created(script, nested(100_000)).message


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" \n",
        b"{}",
        {"schedule": None},
        {"schedule": {"labels": None, "task": {"args": None}}},
        {"schedule": {"paused": "true", "createTime": "2026-11-30T08:00:00.5+08:00"}},
        {"schedule": {"overlap_policy": 2, "timing": {"interval": {"every": "1.5s"}, "crontab": None}}},
    ],
)
def test_what_proto_json_allows_is_passed_on_as_it_is(body: Any, script: RestScript) -> None:
    judged = created(script, body)
    assert judged.answer is None
    assert judged.body == (body if isinstance(body, bytes) else json.dumps(body).encode())


def test_a_value_of_the_path_may_be_repeated_in_the_body_but_not_changed(script: RestScript) -> None:
    assert script.judge("POST", f"{CREATE}/a%20b:trigger", {"name": "schedules/a b"}).answer is None
    assert script.judge("PATCH", f"{CREATE}/x?update_mask=paused", {"name": "schedules/x"}).answer is None
    for verb, path, field in (
        ("POST", f"{CREATE}/x:trigger", "name"),
        ("PATCH", f"{CREATE}/x", "schedule.name"),
    ):
        told = script.judge(verb, path, {"name": "schedules/y"}).faults[field]
        assert told.startswith('is "schedules/y" in the body and "schedules/x" in the path')


def test_the_outer_field_is_told_where_the_body_is_its_content(script: RestScript) -> None:
    told = script.judge("PATCH", f"{CREATE}/x", {"schedule": {"paused": True}}).faults["schedule.schedule"]
    assert told.startswith("must be left out: the body of this path is the schedule itself")


PARAMETERS = {
    "pagesize=1": ("pagesize", "did you mean page_size?; for example: page_size=10"),
    "page_size=1&pageSize=2": ("page_size", "appears twice; for example: page_size=10"),
    "page_size=many": ("page_size", 'is "many", not a whole number of 32 bits'),
    "page_size=4294967296": ("page_size", 'is "4294967296", not a whole number'),
    "page_size=": ("page_size", 'is "", not a whole number'),
    "=1": ('""', "is not a field of ListSchedulesRequest"),
    "paused.x=1": ("paused.x", "goes on after paused, which has no fields"),
    "%FF%0A=1": ("\ufffd\n", "is not a field"),
}


@pytest.mark.parametrize(("query", "fault"), PARAMETERS.items(), ids=PARAMETERS)
def test_a_wrong_parameter_is_told(query: str, fault: tuple[str, str], script: RestScript) -> None:
    field, told = fault
    assert told in script.judge("GET", f"{CREATE}?{query}").faults[field]


def test_a_parameter_that_the_path_or_the_body_has_too_is_told(script: RestScript) -> None:
    assert "in the path already" in script.judge("GET", f"{CREATE}/x?name=schedules/x").faults["name"]
    both = script.judge("POST", f"{CREATE}?request_id=a", {"request_id": "b"})
    assert "among the parameters" in both.faults["request_id"]
    into = script.judge("PATCH", f"{CREATE}/x?schedule.paused=true", {})
    assert "belongs into the body" in into.faults["schedule.paused"]
    assert "can't be a parameter" in script.judge("POST", f"{CREATE}?schedule=x", {}).faults["schedule"]


def test_short_names_of_values_are_written_in_full(script: RestScript) -> None:
    judged = script.judge("GET", "/v1/tasks?states=FAILURE&text=a%26b+c&states=TASK_STATE_STARTED&states=3")
    assert judged.path == (
        "/v1/tasks?states=TASK_STATE_FAILURE&text=a%26b+c&states=TASK_STATE_STARTED&states=3"
    )
    told = script.judge("GET", "/v1/tasks?states=FAILUR").faults["states"]
    assert (
        told == 'is "FAILUR", not one of the values of TaskState; did you mean FAILURE?; '
        "for example: states=PENDING"
    )
    body = created(script, b'{"schedule" : {"overlap_policy":"\\u0053KIP", "paused": true}}').body
    assert body == b'{"schedule" : {"overlap_policy":"OVERLAP_POLICY_SKIP", "paused": true}}'


def test_a_list_may_have_its_name_in_the_singular_where_one_value_is_given(script: RestScript) -> None:
    judged = script.judge("GET", "/v1/tasks?state=FAILURE&text=a%26b+c&states=RETRY&task_name=a%20b")
    assert judged.path == (
        "/v1/tasks?states=TASK_STATE_FAILURE&text=a%26b+c&states=TASK_STATE_RETRY&task_names=a%20b"
    )
    assert script.judge("GET", "/v1/tasks?state=FAILUR").faults["states"]
    assert script.judge("GET", "/v1/tasks?tex=a").faults["tex"]


def test_a_mask_may_name_arguments_as_the_body_does(script: RestScript) -> None:
    sent = f"{CREATE}/x?update_mask=description,task.args,task.kwargs,labels.args"
    judged = script.judge("PATCH", sent, {"task": {"args": [1]}})
    assert judged.path == f"{CREATE}/x?update_mask=description,task.args_json,task.kwargs_json,labels.args"
    assert json.loads(judged.body) == {"task": {"args_json": "[1]"}}
    escaped = script.judge("PATCH", f"{CREATE}/x?updateMask=task%2Eargs,%26", {})
    assert escaped.path == f"{CREATE}/x?updateMask=task.args_json,%26"


def test_paths_are_told_apart_as_the_gateway_does(script: RestScript) -> None:
    assert script.knows("GET", "/v1/tasks/a:b")
    assert script.knows("POST", "/v1/tasks/a:b:revoke")
    assert not script.knows("POST", "/v1/tasks/a:b")
    assert not script.knows("GET", "/v1/nonsense")
    assert not script.knows("GET", "/")
    assert not script.knows("PUT", CREATE)
    assert script.knows("GET", f"{CREATE}/")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(
    value=JSON.filter(lambda value: value is not None),
    ascii_only=st.booleans(),
    indent=st.sampled_from([None, 1]),
)
def test_any_json_arrives_in_an_argument_character_by_character(
    value: Any, ascii_only: bool, indent: int | None, script: RestScript
) -> None:
    raw = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
    judged = created(script, f'{{"schedule": {{"task": {{"kwargs": {raw}}}}}}}'.encode())
    assert judged.answer is None
    assert json.loads(judged.body)["schedule"]["task"]["kwargs_json"] == raw


def strict(raw: bytes) -> bool:
    """Whether Python takes it for JSON: UTF-8, no constants, no lone surrogates, each name once."""

    def refuse(constant: str) -> None:
        raise ValueError(constant)

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) < len(pairs):
            raise ValueError("a name twice")
        return dict(pairs)

    try:
        value = json.loads(raw.decode(), parse_constant=refuse, object_pairs_hook=once)
        json.dumps(value, ensure_ascii=False).encode()
    except ValueError:
        return False
    return True


SIGNS = [*(bytes([sign]) for sign in b'{}[],:"\\a01-.e+ \n\t\0\xff'), b"\\u", b"d83d", b"\\ude00"]
WORDS = [b"true", b"null", "五".encode(), "😀".encode(), b'"a":', b'"b"']
PIECES = st.sampled_from([*SIGNS, *WORDS])


@given(raw=st.lists(PIECES, max_size=12).map(b"".join))
def test_it_takes_for_json_what_python_does(raw: bytes, script: RestScript) -> None:
    body = b'{"schedule": {"task": {"kwargs": ' + raw + b"}}}"
    # Python's own reading of the whole: a piece may close what is before it.
    judged = created(script, body)
    if strict(body):
        text = json.loads(body)
        known = (
            set(text) == {"schedule"}
            and set(text["schedule"]) == {"task"}
            and set(text["schedule"]["task"]) == {"kwargs"}
        )
        assert not known or judged.answer is None
    else:
        assert judged.answer is not None
