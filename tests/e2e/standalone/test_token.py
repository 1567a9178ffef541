"""`make token`: printed alone, and only where a system was started that accepts it."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import jwt
import pytest

from deploy.standalone.__main__ import FOLDER_SECONDS
from deploy.standalone.lock import running_alone
from deploy.standalone.tokens import AUDIENCE, LocalIssuer
from tests.support.processes import ROOT
from tests.support.system import System
from tests.support.token_ids import token_id_of


def accepted(state: Path, token: str) -> list[str]:
    """The roles of a token that is signed with the state folder's key."""
    [key] = json.loads((state / "jwks.json").read_text())["keys"]
    known = jwt.PyJWK(key).key
    roles: list[str] = jwt.decode(token, known, algorithms=["ES256"], audience=AUDIENCE)["roles"]
    return roles


@pytest.mark.parametrize("role", ["viewer", "writer", "admin", "super_admin"])
def test_a_token_is_printed_and_nothing_else_also_when_nothing_runs(role: str, tmp_path: Path) -> None:
    LocalIssuer(tmp_path).ensure_key()
    told = System(tmp_path).run("token", role)
    assert told.returncode == 0, told.stderr
    assert accepted(tmp_path, told.stdout.removesuffix("\n")) == [role]
    assert told.stderr == ""


def test_a_token_is_of_the_user_whom_make_is_told_and_not_of_the_shells(tmp_path: Path) -> None:
    LocalIssuer(tmp_path).ensure_key()
    environment = {**os.environ, "CELERIAC_STATE_DIR": str(tmp_path), "USER": "root"}
    subjects = []
    for more in (["USER=mei chen"], []):
        made = subprocess.run(
            ["make", "-s", "token", *more], cwd=ROOT, env=environment, capture_output=True, text=True
        )
        assert made.returncode == 0, made.stderr
        claims = jwt.decode(made.stdout.strip(), options={"verify_signature": False})
        subjects.append(claims["sub"])
    assert subjects == ["mei chen", "operator"]


@pytest.mark.parametrize("user", ["", " ", "mei\nadmin", "m" * 201])
def test_a_user_that_could_not_be_read_in_a_log_is_refused(user: str, tmp_path: Path) -> None:
    told = System(tmp_path).run("token", "admin", "--user", user)
    assert (told.returncode, told.stdout) == (1, "")
    assert "for example: make token USER=mei" in told.stderr


def test_on_a_terminal_the_tokens_id_is_shown_beside_it(tmp_path: Path) -> None:
    LocalIssuer(tmp_path).ensure_key()
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "deploy.standalone", "token", "viewer", "--user", "mei"]
    environment = {**os.environ, "CELERIAC_STATE_DIR": str(tmp_path)}
    made = subprocess.run(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=theirs, text=True, check=True
    )
    shown = os.read(ours, 1000).decode()
    os.close(ours)
    os.close(theirs)
    assert f"token {token_id_of(made.stdout.strip())} of mei, viewer" in shown


def test_a_role_that_does_not_exist_is_told_with_those_that_do(tmp_path: Path) -> None:
    told = System(tmp_path / "new").run("token", "root")
    assert told.returncode == 1
    assert told.stdout == ""
    assert "ROLE=root is none of viewer, writer, admin, super_admin" in told.stderr


def test_no_token_is_made_where_no_system_was_ever_started(tmp_path: Path) -> None:
    state = tmp_path / "typo"
    told = System(state).run("token", "admin")
    assert (told.returncode, told.stdout) == (1, "")
    assert f"no system was ever started in {state}," in told.stderr
    assert f"make up CELERIAC_STATE_DIR={state}" in told.stderr
    assert not state.exists()


def test_a_token_waits_for_the_keys_of_a_first_start_that_is_at_work(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    command = [sys.executable, "-m", "deploy.standalone", "token"]
    environment = {**os.environ, "CELERIAC_STATE_DIR": str(tmp_path)}
    with (
        running_alone(run),
        subprocess.Popen(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True) as asked,
    ):
        # Longer than it would wait for a start that nobody made.
        with pytest.raises(subprocess.TimeoutExpired):
            asked.wait(FOLDER_SECONDS + 2)
        LocalIssuer(tmp_path).ensure_key()
        told, _ = asked.communicate(timeout=60)
    assert asked.returncode == 0
    assert accepted(tmp_path, told.strip()) == ["admin"]
