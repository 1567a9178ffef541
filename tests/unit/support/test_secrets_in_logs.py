"""The search of the logs finds what it is for, names log, module and line, and makes a run fail."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.standalone.certificates import ensure_certificates, ensure_config_keys
from deploy.standalone.second_factor import SecondFactor
from deploy.standalone.tokens import LocalIssuer
from services.kernel.sealing import add_key
from tests.support.processes import ROOT
from tests.support.secrets_in_logs import Search, canary, remember, remember_files

PLANTED = """
from tests.support.kept_logs import new_log
from tests.support.secrets_in_logs import canary

SECRET = canary()


def test_that_plants_a_canary() -> None:
    new_log("planted").write_text("first\\n" + SECRET[:{kept}] + " and more\\n")


def test_after_it() -> None:
    pass
"""
OTHER = "def test_in_another_module() -> None:\n    pass\n"
FIXTURES = "from tests.conftest import logs, no_secret_in_logs\n"


@pytest.fixture
def issuer(tmp_path: Path) -> LocalIssuer:
    issuer = LocalIssuer(tmp_path / "state")
    issuer.ensure_key()
    return issuer


@pytest.fixture
def search(tmp_path: Path) -> Search:
    (tmp_path / "logs").mkdir()
    return Search(tmp_path / "logs")


def found_in(search: Search, text: str) -> list[tuple[int, str]]:
    (search.folder / "a.log").write_text(text)
    return [(hit.number, hit.what) for hit in search.hits(whole=True)]


def secrets_of(state: Path, issuer: LocalIssuer) -> dict[str, str]:
    """Of each kind one, as it would stand in a line."""
    ensure_certificates(state)
    second_factor = SecondFactor(state)
    second_factor.enrol()
    config_keys = ensure_config_keys(state)
    add_key(config_keys)
    pem = (state / "keys" / "token-es256.pem").read_text()
    token, keys = issuer.mint(), json.loads(config_keys.read_text())["keys"]
    remember_files(*(state / "keys").glob("*.*"), *(state / "certs").glob("*.key"))
    remember("open sesame 12", "the broker's password")
    return {
        "token": token,
        "80 characters of a token": token[:80],
        "the middle of a token": token.partition(".")[2],
        "PEM": pem,
        "PEM in JSON": json.dumps(pem),
        "a line of a PEM": pem.splitlines()[2],
        "a certificate's key": (state / "certs" / "audit.key").read_text().splitlines()[2],
        "an encryption key": keys[-1]["key"],
        "the second factor's secret": json.loads((state / "keys" / "totp.json").read_text())["secret"],
        "a password": "open sesame 12",
        "an address with a password": "redis://:p4ssword@127.0.0.1:6379/0",
        "a canary": canary("x"),
        "a canary in base64": base64.b64encode(f"?{canary()}".encode()).decode(),
    }


def test_each_kind_of_secret_is_found_with_its_line_and_is_masked(
    search: Search, issuer: LocalIssuer, tmp_path: Path
) -> None:
    for kind, secret in secrets_of(tmp_path / "state", issuer).items():
        (search.folder / f"{kind}.log").write_text(f'nothing\n{{"event": "said", "value": "{secret}"}}\n')
        hits = search.hits()
        assert hits, kind
        assert {hit.log.name for hit in hits} == {f"{kind}.log"}
        assert hits[0].number == 2 or kind == "PEM"
        longest = max(secret.split("\n"), key=len)
        assert all(longest not in str(hit) for hit in hits), kind


@pytest.mark.parametrize(
    "line",
    [
        "eyJhbGciOiJFUzI1NiJ9 alone",
        "redis://:[password]@127.0.0.1:6379/0",
        "postgresql://celeriac_audit@/celeriac?host=/tmp/x",
        "https://127.0.0.1:8443/v1/schedules",
        "-----BEGIN CERTIFICATE-----",
        "authorization: Bearer <token>",
    ],
)
def test_what_is_no_secret_is_not_found(search: Search, line: str) -> None:
    assert found_in(search, f"{line}\n") == []


def test_each_hit_is_told_once_and_a_line_is_looked_through_when_it_is_whole(search: Search) -> None:
    secret, log = canary(), search.folder / "a.log"
    log.write_text(f"one\n{secret[:20]}")
    assert search.hits() == []
    with log.open("a") as more:
        more.write(f"{secret[20:]}\n")
    assert [hit.number for hit in search.hits()] == [2]
    assert search.hits() == []
    with log.open("a") as more:
        more.write(f"three\n{secret}")
    assert search.hits() == []
    assert [hit.number for hit in search.hits(whole=True)] == [4]


def test_a_folder_that_is_about_to_go_is_searched_and_kept(search: Search, tmp_path: Path) -> None:
    own = tmp_path / "state" / "logs"
    own.mkdir(parents=True)
    (own / "audit.log").write_text(f"{canary()}\n")
    search.take_in(own)
    (own / "audit.log").unlink()
    assert [hit.log.name for hit in search.hits()] == ["audit.log"]
    assert [path.name for path in search.folder.rglob("*.log")] == ["audit.log"]
    assert search.hits(whole=True) == []


@pytest.mark.parametrize(("kept", "outcome"), [(100, 1), (8, 0)], ids=["planted", "nothing planted"])
def test_a_run_fails_at_the_module_that_left_a_secret_in_a_log(
    tmp_path: Path, kept: int, outcome: int
) -> None:
    (tmp_path / "conftest.py").write_text(FIXTURES)
    (tmp_path / "test_planted.py").write_text(PLANTED.format(kept=kept))
    (tmp_path / "test_zebra.py").write_text(OTHER)
    command = [sys.executable, "-m", "pytest", str(tmp_path), f"--rootdir={tmp_path}", "-q", "-rA"]
    command += ["-c", "/dev/null", "-p", "no:cacheprovider"]
    ran = subprocess.run(
        command, env={"PYTHONPATH": str(ROOT)}, cwd=ROOT, capture_output=True, text=True, timeout=150
    )
    assert ran.returncode == outcome, ran.stdout + ran.stderr
    failed = "1 secrets in the logs that were written during test_planted.py"
    line = "planted.log, line 2, has a secret of a test: [...] and more"
    assert (failed in ran.stdout, line in ran.stdout) == (outcome == 1, outcome == 1)
    errors = [said for said in ran.stdout.splitlines() if said.startswith("ERROR ")]
    assert [said.partition("::")[2].split()[0] for said in errors] == ["test_after_it"] * outcome
    assert "3 passed" in ran.stdout
