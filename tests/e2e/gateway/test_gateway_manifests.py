"""Sets of schedules through the gateway: by the client's commands, and over REST."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
import yaml

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


def command(gateway: Gateway, token: str, *words: str) -> tuple[int, str, str]:
    """Exit code, standard output, standard error of celeriac.manifests."""
    where = ["--server", gateway.address, "--ca", str(gateway.state / "ca.pem")]
    environment = {**os.environ, "CELERIAC_TOKEN": token}
    ran = subprocess.run(
        [sys.executable, "-m", "celeriac.manifests", *where, *words],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    return ran.returncode, ran.stdout, ran.stderr


def test_a_file_is_compared_applied_and_exported_from_a_terminal(
    gateway: Gateway, admin: str, file: Path, team: str
) -> None:
    code, told, _ = command(gateway, admin, "diff", str(file))
    assert code == 0
    assert told.startswith(f"+ {team}-a\n    task: report\n")
    etag = told.split()[-1]
    code, done, _ = command(gateway, admin, "apply", str(file), "--etag", etag, "--prune-label", "team=other")
    assert (code, done) == (1, "")
    code, done, error = command(gateway, admin, "apply", str(file), "--etag", etag)
    assert (code, error) == (0, "")
    assert done.endswith("1 created, 0 changed, 0 removed, 0 unchanged\n")
    code, exported, _ = command(gateway, admin, "export", "--label", f"team={team}")
    file.write_text(exported)
    code, again, _ = command(gateway, admin, "apply", str(file), "--prune-label", f"team={team}")
    assert (code, again) == (0, "0 created, 0 changed, 0 removed, 1 unchanged\n")


def test_faults_are_told_on_standard_error(gateway: Gateway, admin: str, file: Path) -> None:
    file.write_text("schedules: [{id: one, task: count, crontab: 0 99 * * *}]")
    code, out, error = command(gateway, admin, "apply", str(file))
    assert (code, out) == (1, "")
    assert error.startswith("INVALID_ARGUMENT: schedules[0].crontab has ")
    assert "for example: " in error
    code, out, error = command(gateway, "", "apply", str(file))
    assert (code, out) == (1, "")
    assert error.startswith("CELERIAC_TOKEN is not set")
    file.write_bytes("# 每日".encode("big5"))
    nowhere = str(file.with_name("nowhere.yaml"))
    for words, told in (
        (["apply", nowhere], f"{nowhere} can't be read: No such file or directory\n"),
        (["apply", str(file)], f"{file} is not UTF-8: byte 3 is 0xa8\n"),
        (
            ["--ca", nowhere, "export"],
            f"{nowhere} can't be read: No such file or directory; --ca names the file\n",
        ),
    ):
        assert command(gateway, admin, *words) == (1, "", told)


def test_a_dump_is_imported_from_a_terminal(gateway: Gateway, admin: str, tmp_path: Path, team: str) -> None:
    every = {"kind": "interval", "seconds": 86400, "zone": "UTC"}
    entry = {"name": team, "task": "report", "schedule": every, "options": {"countdown": 3}}
    file = tmp_path / "dump.json"
    file.write_text(json.dumps({"celeriac_dump": 1, "source": "beat_schedule", "entries": [entry]}))
    words = ["import", str(file), "--labels", f"team={team}"]
    code, told, _ = command(gateway, admin, *words, "--dry-run")
    assert code == 0
    assert f"not carried over: {team}: options.countdown is 3; " in told
    etag = told.partition("--etag ")[2].split()[0]
    code, done, _ = command(gateway, admin, *words, "--etag", etag)
    assert (code, done.splitlines()[0]) == (0, f"+ {team}")
    assert command(gateway, admin, *words)[1].startswith("0 created, 0 changed, 0 removed, 1 unchanged\n")


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
