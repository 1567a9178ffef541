"""Contexts and sign-in, and the completion of names."""

from __future__ import annotations

import base64
import json
import stat
from pathlib import Path

import grpc
import pytest
from celeriac.scheduler.v1 import schedules_pb2

from tests.support.calls import eventually
from tests.support.command import Command
from tests.support.contract_server import ContractServer
from tests.support.refusals import Refusal


def token_of(subject: str) -> str:
    claims = json.dumps({"sub": subject, "roles": ["admin"], "exp": 2111111111}).encode()
    return f"a.{base64.urlsafe_b64encode(claims).decode().rstrip('=')}.c"


@pytest.fixture
def signed_out(celeriac: Command) -> Command:
    """No variable names a system: it comes from a context."""
    return Command(celeriac.home, {})


def login(signed_out: Command, celeriac: Command, name: str, subject: str = "mei") -> None:
    known = celeriac.environment
    ran = signed_out.run(
        "login",
        "--name",
        name,
        "--target",
        known["CELERIAC_TARGET"],
        "--ca",
        known["CELERIAC_CA"],
        given=f"{token_of(subject)}\n",
    )
    assert ran.code == 0, ran.err
    assert f"as {subject} (admin), context {name}" in ran.out


def test_a_sign_in_is_kept_for_its_owner_alone_and_used_from_then_on(
    signed_out: Command, celeriac: Command
) -> None:
    login(signed_out, celeriac, "local")
    file = signed_out.home / "config/celeriac/config.toml"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert signed_out.run("schedules", "list").code == 0
    told = json.loads(signed_out.run("whoami", "-o", "json").out)
    assert (told["subject"], told["roles"]) == ("mei", ["admin"])
    assert told["expires"] == "2036-11-24T03:45:11Z"


def test_one_of_several_contexts_is_chosen_for_a_call_or_for_all(
    signed_out: Command, celeriac: Command
) -> None:
    login(signed_out, celeriac, "one", "mei")
    login(signed_out, celeriac, "two", "jun")
    assert "jun" in signed_out.run("whoami").out
    assert "mei" in signed_out.run("whoami", "--context", "one").out
    assert "mei" in signed_out.run("whoami", CELERIAC_CONTEXT="one").out
    assert signed_out.run("contexts", "one").code == 0
    assert "mei" in signed_out.run("whoami").out
    listed = [line.split("\t")[:2] for line in signed_out.run("contexts").out.splitlines()]
    assert listed == [["one", "yes"], ["two", "no"]]


def test_the_token_is_forgotten_by_logout(signed_out: Command, celeriac: Command) -> None:
    login(signed_out, celeriac, "local")
    assert signed_out.run("token").out.strip() == token_of("mei")
    assert signed_out.run("logout").code == 0
    assert signed_out.run("token").code == 4


def test_a_token_that_is_refused_is_not_kept(
    signed_out: Command, celeriac: Command, server: ContractServer
) -> None:
    server.answers["/celeriac.monitor.v1.SystemService/CheckHealth"] = Refusal(
        grpc.StatusCode.UNAUTHENTICATED, "the token has expired", "TOKEN_EXPIRED"
    )
    target, ca = celeriac.environment["CELERIAC_TARGET"], celeriac.environment["CELERIAC_CA"]
    ran = signed_out.run("login", "--target", target, "--ca", ca, given=token_of("mei"))
    assert ran.code == 4
    assert "error: the token has expired" in ran.err
    assert not (signed_out.home / "config/celeriac/config.toml").exists()


def completions(celeriac: Command, line: str) -> list[str]:
    """As bash asks for them."""
    words = line.split(" ")
    asked = {"_CELERIAC_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    return sorted(found.partition(",")[2] for found in celeriac.run(**asked).out.split())


def test_commands_are_completed(celeriac: Command) -> None:
    assert completions(celeriac, "celeriac sche") == ["schedules"]
    assert completions(celeriac, "celeriac schedules p") == ["pause", "preview"]


def test_names_are_completed_from_what_was_listed_before(celeriac: Command, server: ContractServer) -> None:
    stored = [schedules_pb2.Schedule(name=f"schedules/{name}") for name in ("nightly", "noon", "weekly")]
    server.answers["/celeriac.scheduler.v1.ScheduleService/ListSchedules"] = (
        schedules_pb2.ListSchedulesResponse(schedules=stored)
    )
    # The first time there is nothing to read: a process beside it asks, and nobody waits for it.
    completions(celeriac, "celeriac schedules show n")
    found = eventually(lambda: completions(celeriac, "celeriac schedules show n"))
    assert found == ["nightly", "noon"]


def test_completion_has_a_script_for_each_shell(celeriac: Command, tmp_path: Path) -> None:
    for shell in ("bash", "zsh", "fish"):
        assert "_CELERIAC_COMPLETE" in celeriac.run("completion", shell).out
