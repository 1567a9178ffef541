"""What the runbook tells people to call is in the contracts, and its changes of rules are accepted."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from celeriac.monitor.v1 import alerts_pb2 as pb
from google.protobuf import json_format
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from deploy.envoy.contracts import installed_contracts
from services.monitor.alerts.standing import STANDING
from services.monitor.api.alert_rules import changed_rule
from tests.support.rest_requests import RestForm, rest_forms

# The Chinese one has the same commands (tests/shape/test_runbook.py).
RUNBOOK = Path("docs/runbook.md").read_text(encoding="utf-8")
# Commands on lines of their own, which may go on on the next (after a backslash, or within quotes), and those
# within a sentence.
COMMAND = re.compile(
    r"""^\ *(ask\ (?=['"]?/)(?:'[^']*'|"[^"]*"|\\\n|[^\n'"\\])*)$ | `(ask\ ['"]?/[^`]*)`""",
    re.MULTILINE | re.VERBOSE,
)
CHAPTER = re.compile(r"^## ([a-z-]+)$", re.MULTILINE)
MOMENT = "2026-11-30T22:00:00Z"
FORMS = rest_forms(installed_contracts())


@dataclass(frozen=True, order=True)
class Call:
    """A command of the runbook, as the gateway gets it."""

    chapter: str
    verb: str
    path: str
    query: str
    body: str


def calls() -> Iterator[Call]:
    parts = CHAPTER.split(RUNBOOK)
    for chapter, text in zip(["", *parts[1::2]], parts[::2], strict=True):
        for on_a_line, in_a_sentence in COMMAND.findall(text):
            yield call_of(chapter, (on_a_line or in_a_sentence).replace("\\\n", " "))


def call_of(chapter: str, command: str) -> Call:
    _, url, *options = shlex.split(re.sub(r" {2,}# .*", "", command))
    given = dict(zip(options[::2], options[1::2], strict=True))
    assert given.keys() <= {"-X", "-d"}, command
    # What stands for a name: $QUEUE, <id>.
    parts = urlsplit(re.sub(r"\$[A-Z]+|<\w+>", "x", url))
    body = given.get("-d", "").replace("$END", MOMENT)
    return Call(
        chapter, given.get("-X", "POST" if body else "GET"), parts.path, parts.query.replace("+", "%2B"), body
    )


CALLS = sorted(set(calls()))
CHANGES = [call for call in CALLS if call.verb == "PATCH"]
EACH_CALL = pytest.mark.parametrize("call", CALLS, ids=lambda call: f"{call.chapter}:{call.verb} {call.path}")


def form_of(call: Call) -> RestForm | None:
    """Returns the REST form of the contracts that the call is one of."""
    return next(
        (form for form in FORMS if form.verb == call.verb and re.fullmatch(shape(form.pattern), call.path)),
        None,
    )


def shape(pattern: str) -> str:
    """The regular expression of a pattern such as "/v1/{name=queues/*}:pause"."""
    plain = re.sub(r"\{[\w.]+=([^}]*)\}", r"\1", pattern)
    return re.escape(plain).replace(r"\*", r"[^/:]+")


def test_the_commands_are_found() -> None:
    assert len(CALLS) > 70
    assert {call.chapter for call in CHANGES} >= STANDING.keys()


@EACH_CALL
def test_each_command_is_a_call_of_the_contracts(call: Call) -> None:
    form = form_of(call)
    assert form is not None
    request: Message = GetMessageClass(form.method.input_type)()
    for name, _ in parse_qsl(call.query, strict_parsing=bool(call.query)):
        # Any: the last step's field may be of no message type.
        described: Any = request.DESCRIPTOR
        for step in name.split("."):
            assert step in described.fields_by_name, name
            described = described.fields_by_name[step].message_type
    if form.body:
        inner = request if form.body == "*" else getattr(request, form.body)
        json_format.Parse(call.body, inner)
    else:
        assert call.body == ""


@pytest.mark.parametrize("call", CHANGES, ids=lambda call: f"{call.chapter}:{call.query}")
def test_each_change_of_a_rule_is_accepted(call: Call) -> None:
    rule = STANDING[call.path.removeprefix("/v1/alertRules/")]
    assert call.chapter in ("", rule.id)
    mask = dict(parse_qsl(call.query))["update_mask"].split(",")
    changed = changed_rule(rule, json_format.Parse(call.body, pb.AlertRule()), mask)
    assert changed.values() != rule.values()


def test_the_table_tells_the_rules_in_their_order_with_their_severity() -> None:
    told = re.findall(r"^\| \[([a-z-]+)\]\(#\1\) \| ([A-Z]+) \|", RUNBOOK, re.MULTILINE)
    assert told == [(name, rule.severity.value) for name, rule in STANDING.items()]
