"""Tokens are taken out of what is logged, and nothing else is."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kernel.masking import MASK, without_credentials
from tests.support.processes import ROOT

JWT = jwt.encode({"sub": "operator", "roles": ["super_admin"]}, "k" * 32)
OPAQUE = "2YotnFZFEjr1zCsicMWpAA"
HEADERS = [
    "':method', 'GET' 'authorization', 'Bearer {}'",
    "('authorization', b'Bearer {}')",
    '{{"authorization": "Bearer {}", "x": "y"}}',
    json.dumps(json.dumps({"authorization": "Bearer {}"})).replace("{{", "{"),
    "authorization: Bearer {}",
    "Proxy-Authorization: Basic {}",
    "completed header: key=authorization value=Bearer {}",
    "completed header: key=cookie value=session={}; other=1",
    "'set-cookie', 'session={}; HttpOnly'",
    "GET /v1/schedules?access_token={}&page_size=5 HTTP/1.1",
    "the header was Bearer {}, which nobody knows",
    "/nowhere/bearer%20{}",
    "issuer: Parse Jwt {}",
]


@pytest.mark.parametrize("token", [JWT, OPAQUE])
@pytest.mark.parametrize("line", HEADERS)
def test_a_token_is_masked_however_it_is_written(line: str, token: str) -> None:
    written = line.replace("{}", token)
    assert token in written
    masked = without_credentials(written)
    assert MASK in masked
    assert token not in masked
    assert token[-12:] not in masked


@given(st.text(), st.text())
def test_a_jwt_is_masked_wherever_it_stands(before: str, after: str) -> None:
    assert JWT not in without_credentials(f"{before}{JWT}{after}")


def test_what_stands_beside_a_token_stays() -> None:
    line = '{"authorization": "Bearer abc", "path": "/v1/schedules?access_token=abc&filter=x"}'
    masked = '{"authorization": "[token]", "path": "/v1/schedules?access_token=[token]&filter=x"}'
    assert without_credentials(line) == masked


@pytest.mark.parametrize(
    "line",
    [
        "a bearer token is missing; send authorization, or ask for one",
        '{"event": "rpc.answered", "method": "/celeriac.access.v1.Policy", "token_id": "9f86d081884c7d65"}',
        '{"page_token": "CAUQAA", "next_page_token": "CAUQAB"}',
        "GET /v1/schedules?page_token=CAUQAA",
        "eyJ and 1.2.3",
    ],
)
def test_a_line_without_a_token_stays_as_it_is(line: str) -> None:
    assert without_credentials(line) == line


def test_a_service_logs_no_token_at_any_level() -> None:
    """In a process of its own: logging is set up once a process."""
    code = (
        "import logging, structlog, sys\n"
        "from services.kernel.logging import configure\n"
        "configure('scheduler', 'DEBUG')\n"
        "for token in sys.argv[1:]:\n"
        "    logging.getLogger('http').warning('sending ' + str({'authorization': f'Bearer {token}'}))\n"
        "    headers = [('authorization', f'Bearer {token}')]\n"
        "    structlog.get_logger('services.own').debug('called', headers=headers)\n"
        "try:\n"
        "    raise ValueError(f'no key for Bearer {sys.argv[1]}')\n"
        "except ValueError:\n"
        "    del token, headers\n"
        "    structlog.get_logger('services.own').exception('failed')\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, JWT, OPAQUE], cwd=ROOT, capture_output=True, text=True, check=True
    )
    lines = [json.loads(line) for line in ran.stderr.splitlines()]
    assert [line["event"] for line in lines][1::2] == ["called", "called"]
    assert lines[-1]["event"] == "failed"
    assert ran.stderr.count(MASK) >= 4
    assert JWT not in ran.stderr
    assert OPAQUE not in ran.stderr


@pytest.mark.parametrize("part", ["\\", "://", "://x:", "eyJ", "eyJa-", "authorization ", 'a"', "bearer "])
def test_the_time_that_a_long_line_takes_grows_with_its_length_only(part: str) -> None:
    """Who sends it chooses it: a header of 60 KiB must not stop the process that logs it."""

    def seconds(length: int) -> float:
        line = part * (length // len(part))
        before = time.process_time()
        without_credentials(line)
        return time.process_time() - before

    seconds(1000)
    short = min(seconds(20_000) for _ in range(3))
    long = min(seconds(160_000) for _ in range(3))
    # Eight times as long; with the square of it, sixty-four times.
    assert long < 30 * max(short, 0.001)


@pytest.mark.parametrize("password", ["p@ss", "pa/ss", "x" * 2000, "a:b"])
def test_a_password_in_an_address_is_masked_whole(password: str) -> None:
    for user in ("", "user"):
        line = f'"address": "redis://{user}:{password}@host:6379/0", "port": 1'
        masked = f'"address": "redis://{user}:[password]@host:6379/0", "port": 1'
        assert without_credentials(line) == masked
    assert password not in without_credentials(f"https://host/?next=redis://:{password}@host/0")


def test_a_jwt_is_masked_wherever_it_begins() -> None:
    for before in ("x", "_", "7", "id-", "a.b.", "%20", "%3D", "(", ""):
        assert JWT.split(".")[1] not in without_credentials(f"say {before}{JWT} again"), before
        assert JWT.split(".")[2] not in without_credentials(f"say {before}{JWT} again"), before


def test_a_header_is_known_by_its_quotes_however_deep_they_are_escaped() -> None:
    line = '{"authorization": "Basic c2VjcmV0OnNlY3JldA"}'
    for _ in range(5):
        assert "c2VjcmV0" not in without_credentials(line)
        line = json.dumps(line)
