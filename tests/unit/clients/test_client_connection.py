"""Where the client finds target, token and authority, and what it refuses."""

from __future__ import annotations

import stat
from pathlib import Path

import celeriac
import pytest
from celeriac.connection import connection
from celeriac.contexts import Context, Contexts, file, read_contexts, write_contexts

PEM = "-----BEGIN CERTIFICATE-----\nMII…\n-----END CERTIFICATE-----\n"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own, and no variables of the person who runs the tests."""
    for name in ("TARGET", "TOKEN", "CA", "CONTEXT"):
        monkeypatch.delenv(f"CELERIAC_{name}", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def authority(tmp_path: Path) -> Path:
    path = tmp_path / "ca.pem"
    path.write_text(PEM)
    return path


def test_arguments_come_before_the_environment_and_that_before_the_context(
    monkeypatch: pytest.MonkeyPatch, authority: Path
) -> None:
    write_contexts(Contexts().with_context("local", Context("c:1", str(authority), "from-context")))
    assert connection().target == "c:1"
    assert connection().token == "from-context"
    assert connection().ca == PEM.encode()
    monkeypatch.setenv("CELERIAC_TOKEN", "from-environment")
    assert connection().token == "from-environment"
    assert connection(token="given").token == "given"
    monkeypatch.setenv("CELERIAC_TARGET", "e:2")
    assert connection().target == "e:2"
    assert connection("a:3").target == "a:3"


def test_a_token_of_a_context_goes_to_no_other_system(monkeypatch: pytest.MonkeyPatch) -> None:
    write_contexts(Contexts().with_context("local", Context("c:1", token="secret")))
    assert connection("other:1").token == ""
    monkeypatch.setenv("CELERIAC_TARGET", "another:1")
    assert connection().token == ""


def test_a_context_that_is_named_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    contexts = Contexts().with_context("a", Context("a:1", token="of-a"))
    write_contexts(contexts.with_context("b", Context("b:1", token="of-b")))
    monkeypatch.setenv("CELERIAC_TARGET", "e:2")
    monkeypatch.setenv("CELERIAC_TOKEN", "of-e")
    assert (connection(context="a").target, connection(context="a").token) == ("a:1", "of-a")
    monkeypatch.delenv("CELERIAC_TARGET")
    monkeypatch.setenv("CELERIAC_CONTEXT", "a")
    assert connection().target == "a:1"


def test_the_file_of_contexts_is_its_owners_alone_and_reads_back() -> None:
    contexts = Contexts().with_context("台北", Context("c:1", "/ca.pem", 'a"b\\c'))
    write_contexts(contexts)
    assert stat.S_IMODE(file().stat().st_mode) == 0o600
    assert read_contexts() == contexts


@pytest.mark.parametrize(
    ("target", "told"),
    [
        (
            "https://gw:8443/v1",
            "is a URL; it has to be host:port, without https:// and path, for example gw:8443",
        ),
        ("gw", "'gw' is not host:port; for example 127.0.0.1:8443"),
        ("gw:", "is not host:port"),
        ("gw:8443\n", "is not host:port"),
    ],
)
def test_what_is_no_target_is_refused_with_an_example(target: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        celeriac.connect(target)


@pytest.mark.parametrize(
    ("token", "told"),
    [
        ("secret\n", "ends in a line break or a blank, as a file does"),
        ("Bearer secret", "give the token alone"),
        ("sec\nret", "characters that no token has"),
        ("密碼", "characters that no token has"),
    ],
)
def test_what_is_no_token_is_refused_and_not_repeated(token: str, told: str) -> None:
    with pytest.raises(ValueError, match=told) as refused:
        celeriac.connect("gw:1", token=token)
    assert "secret" not in str(refused.value)
    with celeriac.connect("gw:1", token=lambda: token) as client, pytest.raises(ValueError, match=told):
        client.system.get_info()


def test_a_file_that_is_no_authority_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="can't be read: No such file"):
        celeriac.connect("gw:1", ca=tmp_path / "none.pem")
    (tmp_path / "key.pem").write_text("-----BEGIN PRIVATE KEY-----")
    with pytest.raises(ValueError, match="has no certificate"):
        celeriac.connect("gw:1", ca=tmp_path / "key.pem")


def test_without_any_target_the_ways_to_give_one_are_told() -> None:
    with pytest.raises(ValueError, match=r"no target.*CELERIAC_TARGET.*celeriac login"):
        celeriac.connect()


def test_an_unknown_context_is_told_with_those_that_are_there() -> None:
    write_contexts(Contexts().with_context("local", Context("c:1")))
    with pytest.raises(ValueError, match=r"there is no context 'lokal'.*there are: local"):
        celeriac.connect(context="lokal")


def test_a_file_of_contexts_that_is_no_toml_is_told() -> None:
    file().parent.mkdir(parents=True)
    file().write_text("current = local")
    with pytest.raises(ValueError, match=r"config.toml is not TOML"):
        celeriac.connect()
