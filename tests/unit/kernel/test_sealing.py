"""Sensitive values sealed: opened by none but the right keys, for none but what they belong to."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.kernel.errors import FailedPrecondition
from services.kernel.sealing import KeyRing, Sealed, WrongKeyFile, add_key

MINE, THEIRS = "config/secrets.mine, revision 7", "config/secrets.theirs, revision 7"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "keys" / "config-keys.json"
    add_key(path)
    return path


def reason_of_opening(ring: KeyRing, sealed: Sealed, belongs_to: str = MINE) -> str:
    with pytest.raises(FailedPrecondition) as refused:
        ring.open(sealed, belongs_to)
    return refused.value.reason


def ids(path: Path) -> list[str]:
    return [key["id"] for key in json.loads(path.read_text())["keys"]]


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=300))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_comes_out_as_it_went_in(path: Path, text: str) -> None:
    ring = KeyRing(path)
    sealed = ring.seal(text, MINE)
    assert ring.open(sealed, MINE) == text
    assert len(text) < 8 or text not in str(sealed)


def test_the_same_text_is_never_sealed_alike(path: Path) -> None:
    ring = KeyRing(path)
    first, second = ring.seal("x", MINE), ring.seal("x", MINE)
    assert first["value"] != second["value"]
    assert first["wrapped"] != second["wrapped"]


def test_what_was_sealed_for_another_key_or_revision_does_not_open(path: Path) -> None:
    ring = KeyRing(path)
    assert reason_of_opening(ring, ring.seal("x", MINE), THEIRS) == "SEALED_VALUE_ALTERED"


@pytest.mark.parametrize("part", ["wrapped", "value"])
def test_a_flipped_bit_is_seen(path: Path, part: str) -> None:
    ring = KeyRing(path)
    sealed = dict(ring.seal("secret", MINE))
    content = bytearray(base64.b64decode(sealed[part]))
    content[-1] ^= 1
    sealed[part] = base64.b64encode(content).decode()
    assert reason_of_opening(ring, sealed) == "SEALED_VALUE_ALTERED"


def test_a_data_key_of_another_value_does_not_open_it(path: Path) -> None:
    ring = KeyRing(path)
    mine, theirs = ring.seal("mine", MINE), ring.seal("theirs", MINE)
    assert reason_of_opening(ring, {**mine, "wrapped": theirs["wrapped"]}) == "SEALED_VALUE_ALTERED"


def test_the_newest_key_seals_and_all_of_them_open(path: Path) -> None:
    ring = KeyRing(path)
    before = ring.seal("before", MINE)
    newest = add_key(path)
    after = ring.seal("after", MINE)
    assert after["key"] == newest == ids(path)[-1]
    assert ring.open(before, MINE) == "before"
    assert ring.open(after, MINE) == "after"


def test_what_is_rewrapped_needs_the_old_key_no_more(path: Path) -> None:
    ring = KeyRing(path)
    sealed = ring.seal("x", MINE)
    add_key(path)
    rewrapped = ring.rewrap(sealed, MINE)
    assert rewrapped["value"] == sealed["value"]
    path.write_text(json.dumps({"keys": json.loads(path.read_text())["keys"][1:]}))
    assert KeyRing(path).open(rewrapped, MINE) == "x"
    assert reason_of_opening(KeyRing(path), sealed) == "ENCRYPTION_KEY_MISSING"


def test_the_key_file_is_for_its_owner_only(path: Path) -> None:
    add_key(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert len(set(ids(path))) == 2


@pytest.mark.parametrize("file", [None, Path("/nowhere/keys.json")])
def test_without_a_key_nothing_is_sealed_and_it_is_told_how_to_make_one(file: Path | None) -> None:
    with pytest.raises(FailedPrecondition, match="CELERIAC_CONFIG_KEYS"):
        KeyRing(file).seal("x", MINE)


SHORT = base64.b64encode(b"short").decode()


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"keys": []}',
        "7",
        '{"keys": {"id": "a"}}',
        '{"keys": ["a"]}',
        '{"keys": [{"id": "a"}]}',
        f'{{"keys": [{{"id": null, "key": "{SHORT}"}}]}}',
        f'{{"keys": [{{"id": "a", "key": ["{SHORT}"]}}]}}',
        f'{{"keys": [{{"id": "a", "key": "{SHORT}!"}}]}}',
        f'{{"keys": [{{"id": "a", "key": "{SHORT}"}}]}}',
    ],
)
def test_a_file_that_is_no_key_file_stops_the_start_and_shows_nothing_of_it(path: Path, content: str) -> None:
    path.write_text(content)
    with pytest.raises(WrongKeyFile) as refused:
        KeyRing(path)
    assert str(path) in str(refused.value)
    assert SHORT not in str(refused.value)
