"""The state folder is its owner's alone."""

from __future__ import annotations

import os
import pwd
import stat
from pathlib import Path

import pytest

from deploy.standalone import valkey
from deploy.standalone.certificates import ensure_certificates
from deploy.standalone.postgres import let_in
from deploy.standalone.settings import StandaloneSettings
from deploy.standalone.state_folder import close_to_others, make_folders
from deploy.standalone.tokens import LocalIssuer


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


@pytest.fixture
def settings(tmp_path: Path) -> StandaloneSettings:
    settings = StandaloneSettings(state=tmp_path / "state")
    make_folders(settings)
    return settings


def test_what_is_open_is_closed_and_an_owners_own_rights_stay(settings: StandaloneSettings) -> None:
    log, script = settings.logs / "gateway.log", settings.state / "script"
    for path, mode in ((log, 0o664), (script, 0o755), (settings.logs, 0o777), (settings.state, 0o711)):
        path.touch()
        path.chmod(mode)
    close_to_others(settings)
    assert [mode_of(path) for path in (log, script, settings.logs, settings.state)] == [
        0o600,
        0o700,
        0o700,
        0o700,
    ]


def test_what_a_link_leads_to_is_left_alone(settings: StandaloneSettings, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").touch()
    for path in (outside, outside / "file"):
        path.chmod(0o755)
    (settings.state / "folder").symlink_to(outside)
    (settings.logs / "file").symlink_to(outside / "file")
    (settings.logs / "nowhere").symlink_to(outside / "nothing")
    close_to_others(settings)
    assert (mode_of(outside), mode_of(outside / "file")) == (0o755, 0o755)


def test_the_databases_folder_is_closed_and_what_is_in_it_is_left_to_the_database(
    settings: StandaloneSettings,
) -> None:
    data = settings.state / "postgres"
    data.mkdir()
    (data / "PG_VERSION").touch()
    (data / "PG_VERSION").chmod(0o640)
    data.chmod(0o750)
    close_to_others(settings)
    assert (mode_of(data), mode_of(data / "PG_VERSION")) == (0o700, 0o640)


def test_a_folder_that_runs_already_is_not_touched_by_another_start(settings: StandaloneSettings) -> None:
    settings.state.chmod(0o710)
    make_folders(settings)
    assert mode_of(settings.state) == 0o710


def test_the_databases_user_may_pass_through_our_folders_and_nobody_else(
    settings: StandaloneSettings, tmp_path: Path
) -> None:
    close_to_others(settings)
    tmp_path.chmod(0o700)
    user = pwd.getpwuid(os.getuid())
    let_in(user, settings.run / "postgres", closed=(settings.state, settings.run))
    for folder in (settings.state, settings.run):
        assert (mode_of(folder), folder.stat().st_gid) == (0o710, user.pw_gid)
    # Not ours: anyone may be in its group.
    assert mode_of(tmp_path) == 0o701


def test_what_holds_a_key_is_made_closed_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        ensure_certificates(tmp_path)
        LocalIssuer(tmp_path).ensure_key()
        valkey.ensure_password(tmp_path)
    finally:
        os.umask(before)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 10
    assert {path.name: mode_of(path) for path in files if mode_of(path) != 0o600} == {}


def test_a_brokers_password_is_made_once(tmp_path: Path) -> None:
    assert valkey.password(tmp_path) == ""
    valkey.ensure_password(tmp_path)
    first = valkey.password(tmp_path)
    valkey.ensure_password(tmp_path)
    assert valkey.password(tmp_path) == first
    assert len(first) >= 32
    settings = StandaloneSettings(state=tmp_path)
    assert first in valkey.url(settings)
    assert first not in " ".join(valkey.command(settings))


@pytest.mark.parametrize("name", ["holiday.jpg", ".bashrc", "etc"])
def test_a_folder_with_other_things_in_it_is_refused_and_stays_as_it_is(tmp_path: Path, name: str) -> None:
    page = tmp_path / name
    page.write_text("mine")
    page.chmod(0o644)
    with pytest.raises(SystemExit, match="is no state folder"):
        make_folders(StandaloneSettings(state=tmp_path))
    assert (mode_of(page), [path.name for path in tmp_path.iterdir()]) == (0o644, [name])


def test_a_hard_link_to_a_file_outside_is_left_alone(settings: StandaloneSettings, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.touch()
    outside.chmod(0o644)
    os.link(outside, settings.state / "link")
    close_to_others(settings)
    assert mode_of(outside) == 0o644
