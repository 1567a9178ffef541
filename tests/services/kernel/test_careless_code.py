"""What careless code and libraries do with a value: by none of these ways does it reach the log."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import uuid
from typing import Any

import pytest

from tests.support.processes import ROOT

COMMAND = [sys.executable, "-m", "tests.support.careless"]
# Of each way: the event that tells of it, or what a library says; and words that its line must have.
EXPECTED: dict[str, tuple[str, tuple[str, ...]]] = {
    "caught_with_cause": (
        "failed",
        ("KeyError", "ValueError", "careless.py", "caught_with_cause", '"lineno"'),
    ),
    "group": ("failed", ("ExceptionGroup", "ValueError", "careless.py")),
    "note": ("failed", ("ValueError", "careless.py")),
    "exception_as_a_value": ("failed", ("ValueError", "careless.py")),
    "told_exception": ("failed", ("ValueError", "careless.py:")),
    "fields_at_fault": ("failed", ("INVALID_FIELDS", "value.text")),
    "json_document": ("failed", ("JSONDecodeError", "line 1 column 7")),
    "pydantic_input": ("failed", ("ValidationError", "port", "int_parsing")),
    "key_exists": ("failed", ("UniqueViolationError", "23505", "t_pkey")),
    "row_fails_its_check": ("failed", ("CheckViolationError", "23514", "t_n_check")),
    "text_is_no_number": ("failed", ("InvalidTextRepresentationError", "22P02")),
    "argument_of_another_type": ("failed", ("DataError",)),
    "statement_of_sqlalchemy": ("failed", ("DBAPIError", "InvalidTextRepresentationError", "22P02")),
    "command_of_redis": ("failed", ("ResponseError", "unknown command 'X'")),
    "task_never_retrieved": ("Task exception was never retrieved", ("fails", "ValueError", "careless.py")),
    "callback_with_arguments": ("Exception in callback", ("fails", "ValueError", "careless.py")),
    "thread": ("thread.failed", ("ValueError", "careless.py")),
    "object_that_leaves_badly": ("python.unraisable", ("ValueError", "LeavesBadly.__del__")),
    "warning": ("python.warning", ("UserWarning", "careless.py")),
    "library_that_warns": ("could not send … after 3 tries", ("some.library",)),
    "library_with_an_exception": ("failed at ", ("some.library", "ValueError", "careless.py")),
    "wrong_placeholders": ("%s and %s", ("some.library",)),
    "line_that_cannot_be_written": ("log.line_lost", ("services.careless",)),
    "object_as_a_value": ("failed", ("<Holder>",)),
    "address_with_a_password": ("failed", ("redis://:[password]@127.0.0.1:6379/0", "password=[password]")),
    "header": ("failed", ("authorization: [token]",)),
    "uncaught": ("process.failed", ("ValueError", "careless.py")),
}
VALUE = f"hunter2{uuid.uuid4().hex}"


def environment_for(database_url: str) -> dict[str, str]:
    return {**os.environ, "DATABASE_URL": database_url, "CARELESS_VALUE": VALUE}


@pytest.fixture(scope="module")
def said(database_url: str) -> str:
    """All that the process wrote."""
    environment = environment_for(database_url)
    done = subprocess.run(COMMAND, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=90)
    assert done.returncode == 1, done.stderr[-3000:]
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def lines(said: str) -> dict[str, list[dict[str, Any]]]:
    """The lines that came of each way."""
    found: dict[str, list[dict[str, Any]]] = {}
    for line in map(json.loads, said.splitlines()):
        if line["event"] == "way":
            way = found.setdefault(line["name"], [])
        else:
            way.append(line)
    return found


def test_the_value_is_nowhere(said: str) -> None:
    assert said.count(VALUE) == 0, [line for line in said.splitlines() if VALUE in line][:3]


@pytest.mark.parametrize("way", EXPECTED)
def test_the_line_still_tells_what_went_wrong_and_where(
    lines: dict[str, list[dict[str, Any]]], way: str
) -> None:
    event, words = EXPECTED[way]
    [line] = lines[way]
    assert line.get("message", line["event"]).startswith(event), line
    assert line["event"] != "library.message" or "message" in line
    written = json.dumps(line, ensure_ascii=False)
    assert [word for word in words if word not in written] == [], line


def test_what_libraries_say_below_a_warning_is_left_out(lines: dict[str, list[dict[str, Any]]]) -> None:
    assert lines["library_at_debug"] == []


def test_on_a_terminal_the_value_is_nowhere_either(database_url: str) -> None:
    """A terminal gets plain text, and has no local variables in its tracebacks either."""
    ours, theirs = pty.openpty()
    environment = environment_for(database_url) | {"TERM": "xterm"}
    process = subprocess.Popen(COMMAND, env=environment, cwd=ROOT, stdout=theirs, stderr=theirs)
    os.close(theirs)
    said = b""
    try:
        while read := os.read(ours, 65536):
            said += read
    except OSError:
        pass  # The terminal's other end was closed.
    os.close(ours)
    assert process.wait(30) == 1
    assert b"caught_with_cause" in said and b"KeyError" in said and b"UniqueViolationError" in said
    assert said.count(VALUE.encode()) == 0
