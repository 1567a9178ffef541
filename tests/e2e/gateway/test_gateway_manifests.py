"""Sets of schedules through the gateway: by the client's commands, and over REST."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.support.command import Command, Ran
from tests.support.gateway import Gateway


@pytest.fixture
def team() -> str:
    return f"t-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def file(tmp_path: Path, team: str) -> Path:
    entry = {"id": f"{team}-a", "task": "report", "crontab": "0 0 29 2 *", "labels": {"team": team}}
    path = tmp_path / "schedules.yaml"
    path.write_text(yaml.safe_dump({"schedules": [entry]}))
    return path


@pytest.fixture
def schedules(gateway: Gateway, admin: str, tmp_path: Path) -> Callable[..., Ran]:
    """`celeriac schedules` at the gateway."""
    known = {
        "CELERIAC_TARGET": gateway.address,
        "CELERIAC_CA": str(gateway.state / "ca.pem"),
        "CELERIAC_TOKEN": admin,
    }
    celeriac = Command(tmp_path, known)
    return lambda *words, **named: celeriac.run("schedules", *words, **named)


def test_a_file_is_compared_applied_and_exported_from_a_terminal(
    schedules: Callable[..., Ran], file: Path, team: str
) -> None:
    told = schedules("apply", "-f", str(file), "--diff")
    assert told.code == 1
    assert told.out.startswith(f"+ {team}-a\n    task: report\n")
    etag = told.out.split()[-1]
    other = schedules("apply", "-f", str(file), "--etag", etag, "--prune", "team=other")
    assert (other.code, other.out) == (2, "")
    done = schedules("apply", "-f", str(file), "--etag", etag)
    assert (done.code, done.err) == (0, "")
    assert done.out.endswith("1 created, 0 changed, 0 removed, 0 unchanged\n")
    file.write_text(schedules("export", "--label", f"team={team}").out)
    again = schedules("apply", "-f", str(file), "--prune", f"team={team}")
    assert (again.code, again.out.strip()) == (0, "0 created, 0 changed, 0 removed, 1 unchanged")


def test_what_an_editor_changes_is_shown_and_applied(
    schedules: Callable[..., Ran], file: Path, team: str, tmp_path: Path
) -> None:
    assert schedules("apply", "-f", str(file)).code == 0
    editor = tmp_path / "editor"
    editor.write_text("#!/bin/sh\necho '  description: 每日報表' >> \"$1\"\n")
    editor.chmod(0o755)
    done = schedules("edit", f"{team}-a", "--yes", EDITOR=str(editor))
    assert (done.code, done.out) == (0, f"changed {team}-a\n")
    assert "description: (not set) → 每日報表" in done.err
    assert "每日報表" in schedules("show", f"{team}-a").out
    assert "nothing was changed" in schedules("edit", f"{team}-a", EDITOR="true").err


def test_faults_are_told_on_standard_error(schedules: Callable[..., Ran], file: Path) -> None:
    file.write_text("schedules: [{id: one, task: count, crontab: 0 99 * * *}]")
    told = schedules("apply", "-f", str(file))
    assert (told.code, told.out) == (2, "")
    assert told.err.startswith("error: schedules[0].crontab has ")
    assert "for example: " in told.err
    assert schedules("apply", "-f", str(file), CELERIAC_TOKEN="").code == 4
    file.write_bytes("# 每日".encode("big5"))
    nowhere = str(file.with_name("nowhere.yaml"))
    for words, fault in (
        (["apply", "-f", nowhere], f"error: {nowhere} can't be read: No such file or directory\n"),
        (["apply", "-f", str(file)], f"error: {file} is not UTF-8: byte 3 is 0xa8\n"),
    ):
        assert schedules(*words) == Ran(2, "", fault)


def test_a_dump_is_imported_from_a_terminal(schedules: Callable[..., Ran], tmp_path: Path, team: str) -> None:
    every = {"kind": "interval", "seconds": 86400, "zone": "UTC"}
    options = {"countdown": 3, "exchange": "media"}
    entry = {"name": team, "task": "report", "schedule": every, "options": options}
    file = tmp_path / "dump.json"
    file.write_text(json.dumps({"celeriac_dump": 1, "source": "beat_schedule", "entries": [entry]}))
    words = ["import", "-f", str(file), "--label", f"team={team}"]
    assert "import again with default_queue" in schedules(*words, "--dry-run").out
    words += ["--default-queue", "mail"]
    told = schedules(*words, "--dry-run")
    assert f"done in another way: {team}: options.queue is not told" in told.out
    # A part of it can't be carried over.
    assert told.code == 7
    assert f"not carried over: {team}: options.countdown is 3; " in told.out
    etag = told.out.partition("--etag ")[2].split()[0]
    done = schedules(*words, "--etag", etag)
    assert (done.code, done.out.splitlines()[0]) == (7, f"+ {team}")
    assert schedules(*words).out.startswith("0 created, 0 changed, 0 removed, 1 unchanged\n")


def test_over_rest(gateway: Gateway, admin: str, file: Path, team: str) -> None:
    body = {"manifest": file.read_text(), "validate_only": True}
    told = gateway.rest("POST", "/v1/schedules:apply", body, admin).json["difference"]
    assert (told["create_count"], told["changes"][0]["name"]) == (1, f"schedules/{team}-a")
    done = gateway.rest("POST", "/v1/schedules:apply", body | {"validate_only": False}, admin)
    assert done.json["difference"]["text"] == told["text"]
    path = f"/v1/schedules:export?labels=team%3D{team}&format=MANIFEST_FORMAT_JSON"
    found = gateway.rest("GET", path, token=admin).json
    assert found["count"] == 1
    assert json.loads(found["manifest"])["schedules"][0]["id"] == f"{team}-a"
    empty = {"celeriac_dump": 1, "source": "redbeat", "entries": []}
    imported = gateway.rest("POST", "/v1/schedules:import", {"dump": json.dumps(empty)}, admin)
    assert (imported.status, imported.json["manifest"]) == (200, "schedules: []\n")
