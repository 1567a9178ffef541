"""The parts of the one-machine system when some of its servers are given."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from deploy.standalone import servers, system
from deploy.standalone.role_passwords import ensure_passwords
from deploy.standalone.settings import StandaloneSettings

GIVEN = {
    "CELERIAC_BROKER_URL": "redis://user:of-the-broker@10.0.0.1:6379/3",
    "CELERIAC_RELAY_URL": "redis://10.0.0.2:6379/0",
    "DATABASE_URL": "postgresql://login:of-the-login@10.0.0.3:5432/shop",
}
SOME = [
    {name: GIVEN[name] for name in names}
    for count in range(len(GIVEN) + 1)
    for names in itertools.combinations(GIVEN, count)
]


def settings_with(state: Path, given: dict[str, str]) -> StandaloneSettings:
    return StandaloneSettings.model_validate({"CELERIAC_STATE_DIR": state, **given})


@pytest.mark.parametrize("given", SOME, ids=lambda given: "+".join(given) or "none")
def test_each_part_waits_for_parts_that_are_there_and_servers_that_are_given_are_not_started(
    tmp_path: Path, given: dict[str, str]
) -> None:
    settings = settings_with(tmp_path, given)
    if "DATABASE_URL" in given:
        ensure_passwords(settings.state)
    steps, components = system.steps(settings), system.components(settings)
    after = [*((step.name, step.after) for step in steps), *((part.name, part.after) for part in components)]
    names = {name for name, _ in after}
    assert len(names) == len(after)
    for name, waits in after:
        assert set(waits) <= names, name
    assert ("postgres" in names) == ("DATABASE_URL" not in given)
    assert ("valkey" in names) == (not {"CELERIAC_BROKER_URL", "CELERIAC_RELAY_URL"} <= given.keys())


@pytest.mark.parametrize("given", SOME, ids=lambda given: "+".join(given) or "none")
def test_the_line_names_each_server_that_is_given_and_no_password(
    tmp_path: Path, given: dict[str, str]
) -> None:
    line = servers.told(settings_with(tmp_path, given)) or ""
    for variable in GIVEN:
        assert (f"({variable})" in line) == (variable in given)
    assert "of-the" not in line


def test_what_was_given_is_known_in_a_shell_without_the_variables(tmp_path: Path) -> None:
    running = settings_with(tmp_path, GIVEN)
    running.run.mkdir(parents=True)
    servers.remember(running)
    assert servers.as_running(settings_with(tmp_path, {})) == running
