"""What an empty system is given, and what a person is told."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
from pathlib import Path

import pytest
from celeriac.embedder.v1 import messages_pb2
from celeriac.scheduler.v1 import schedules_pb2

from deploy.standalone.environments import inherited
from deploy.standalone.first_start import SAMPLE_CHAT, STANDARD_SCHEDULES, sample_messages
from deploy.standalone.guide import how_to_look, what_looks_at_it, what_runs_next
from deploy.standalone.settings import StandaloneSettings
from deploy.standalone.shell_lines import to_copy
from deploy.standalone.tables import table
from services.kernel.validation import Faults
from services.scheduler.manifests.read import read_manifest
from services.scheduler.timing.due_times import CrontabTiming

NOW = dt.datetime(2026, 11, 24, 14, 5, tzinfo=dt.UTC)


def test_the_five_standard_schedules() -> None:
    """In the zone that the scheduler has: the manifest names none."""
    faults = Faults()
    wanted = read_manifest(STANDARD_SCHEDULES.read_text(), "Asia/Taipei", NOW, faults)
    faults.raise_any()
    found = {}
    for schedule in (each.definition for each in wanted):
        assert isinstance(schedule.timing, CrontabTiming)
        assert (schedule.timing.zone, schedule.labels) == ("Asia/Taipei", {"origin": "standard"})
        found[schedule.id] = (
            schedule.timing.crontab.expression,
            schedule.task.name,
            schedule.task.queue,
            json.loads(schedule.task.kwargs_json),
            schedule.task.expires or 0,
        )
    rebuild = {"force_rebuild": False, "min_length": 5}
    assert found == {
        "process-new-chat-vectors-hourly": (
            "0 * * * *",
            "rebuild_chat_vectors",
            "ai_analysis",
            {**rebuild, "user_role": "user"},
            0,
        ),
        "process-assistant-vectors-periodic": (
            "30 */6 * * *",
            "rebuild_chat_vectors",
            "ai_analysis",
            {**rebuild, "user_role": "assistant"},
            0,
        ),
        "update-question-analytics-daily": (
            "30 3 * * *",
            "precompute_question_classifications",
            "ai_analysis",
            {},
            3600,
        ),
        "preload-vector-services-daily": ("0 3 * * *", "preload_vector_services", "maintenance", {}, 0),
        "cleanup-cache-daily": ("0 2 * * *", "cleanup_cache", "maintenance", {}, 0),
    }


def test_the_sample_chat_can_be_ingested() -> None:
    messages = list(sample_messages(SAMPLE_CHAT, NOW))
    assert len(messages) >= 300
    assert len({message.name for message in messages}) == len(messages)
    assert all(0 < len(message.text) <= 100_000 for message in messages)
    assert all(message.create_time.ToDatetime(dt.UTC) <= NOW for message in messages)
    roles = {message.role for message in messages}
    assert roles == {
        messages_pb2.MessageRole.MESSAGE_ROLE_USER,
        messages_pb2.MessageRole.MESSAGE_ROLE_ASSISTANT,
    }


def test_what_runs_next_is_told_in_the_zone_the_soonest_first() -> None:
    later, sooner, paused = (
        schedules_pb2.Schedule(name=f"schedules/{name}") for name in ("l", "sooner", "p")
    )
    later.next_run_time.FromDatetime(NOW + dt.timedelta(hours=5, minutes=25))
    sooner.next_run_time.FromDatetime(NOW + dt.timedelta(minutes=55))
    assert what_runs_next([later, paused, sooner], "Asia/Taipei", NOW) == [
        "What runs next (Asia/Taipei, now 2026-11-24 22:05):",
        "  sooner  2026-11-24 23:00  in 55 min",
        "  l       2026-11-25 03:30  in 5 h 25 min",
        "  p       paused",
    ]


def test_the_lines_to_copy_name_this_copy() -> None:
    lines = how_to_look(StandaloneSettings(gateway_port=9443, state=Path("/srv/celeriac")))
    [login] = [line for line in lines if "celeriac login" in line]
    assert login.startswith("  make -s token ROLE=admin CELERIAC_STATE_DIR=/srv/celeriac | ")
    assert "--ca /srv/celeriac/ca.pem" in login
    assert "--target 127.0.0.1:9443" in login
    assert "docs/gateway.md" in lines[0]


def test_a_command_to_copy_is_broken_between_words_and_stays_one_command() -> None:
    command = f'printf "%s|" "authorization: Bearer $0" {"--some-option value " * 9}/{"path" * 30} && true'
    shown = to_copy(command)
    lines = shown.splitlines()
    assert len(lines) > 3 and all(line.endswith(" \\") for line in lines[:-1])
    assert all(len(line) <= 80 for line in lines if "pathpath" not in line)
    printed = [
        subprocess.run(["bash", "-c", text], capture_output=True, text=True, check=True).stdout
        for text in (command, shown)
    ]
    assert printed[0] == printed[1] != ""


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    assert table([("a", "state"), ("longer", "x")]) == ["a       state", "longer  x"]


def test_commands_name_the_state_folder_unless_it_is_the_usual_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    usual = StandaloneSettings(state=tmp_path / ".celeriac")
    assert what_looks_at_it(usual) == "`make status` and `make logs` look at it"
    other = StandaloneSettings(state=Path("/srv/celeriac"))
    assert "`make status CELERIAC_STATE_DIR=/srv/celeriac`" in what_looks_at_it(other)


def test_processes_are_not_told_of_other_servers_than_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CELERIAC_BROKER_URL", "redis://elsewhere/0")
    monkeypatch.setenv("DATABASE_URL", "postgresql://elsewhere/shop")
    monkeypatch.setenv("OF_THE_OPERATOR", "kept")
    told = inherited()
    assert "CELERIAC_BROKER_URL" not in told and "DATABASE_URL" not in told
    assert told["OF_THE_OPERATOR"] == "kept"
