"""The door's keys in a state folder, and what an upgrade to a release with a door makes."""

from __future__ import annotations

import json
from pathlib import Path

from deploy.standalone import instance
from deploy.standalone.door_keys import ensure_door_keys, signing_key
from deploy.standalone.role_passwords import ensure_passwords, passwords
from deploy.standalone.tokens import LocalIssuer
from services import STORING


def key_ids(state: Path) -> list[str]:
    return [key["kid"] for key in json.loads((state / "jwks.json").read_text())["keys"]]


def test_the_key_set_has_the_doors_key_beside_the_issuers(tmp_path: Path) -> None:
    LocalIssuer(tmp_path).ensure_key()
    [issuers] = key_ids(tmp_path)
    ensure_door_keys(tmp_path)
    first = key_ids(tmp_path)
    assert first[0] == issuers
    assert len(first) == 2
    ensure_door_keys(tmp_path)
    assert key_ids(tmp_path) == first
    assert signing_key(tmp_path).stat().st_mode & 0o077 == 0
    # The issuer's tokens are still signed with its own key.
    assert LocalIssuer(tmp_path).mint()


def test_a_new_key_of_the_door_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    LocalIssuer(tmp_path).ensure_key()
    ensure_door_keys(tmp_path)
    issuers, old = key_ids(tmp_path)
    signing_key(tmp_path).unlink()
    ensure_door_keys(tmp_path)
    kept, new = key_ids(tmp_path)
    assert kept == issuers
    assert new != old


def test_a_copy_keeps_its_name_and_another_has_another(tmp_path: Path) -> None:
    names = {instance.name_of(tmp_path / "one"), instance.name_of(tmp_path / "other")}
    assert len(names) == 2
    assert instance.name_of(tmp_path / "one") in names


def test_a_role_that_came_later_gets_a_password_and_the_others_keep_theirs(tmp_path: Path) -> None:
    ensure_passwords(tmp_path)
    file = tmp_path / "keys/database-passwords.json"
    earlier = {role: word for role, word in passwords(tmp_path).items() if role != "celeriac_door"}
    file.write_text(json.dumps(earlier))
    ensure_passwords(tmp_path)
    found = passwords(tmp_path)
    assert found.keys() == {f"celeriac_{service}" for service in STORING}
    assert earlier.items() <= found.items()
