"""What `make up` and `make status` print for a browser, and a second factor for one person."""

from __future__ import annotations

import contextlib
import getpass
import http.client
import json
import re
import ssl
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pyotp

from deploy.standalone.browser import trust_command
from tests.support.system import System

LINK = re.compile(r"https://127\.0\.0\.1:\d+/session/enter#(\S+)")


def post(system: System, path: str, body: dict[str, str], **headers: str) -> tuple[int, Any, str]:
    """Gives the status, the JSON, and the cookie that was set, "" for none."""
    context = ssl.create_default_context(cafile=system.state / "ca.pem")
    connection = http.client.HTTPSConnection("127.0.0.1", system.port, context=context, timeout=30)
    with contextlib.closing(connection):
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request("POST", path, json.dumps(body), {"content-type": "application/json", **sent})
        answer = connection.getresponse()
        cookie = answer.getheader("set-cookie", "").partition(";")[0]
        return answer.status, json.loads(answer.read()), cookie


def test_a_start_prints_a_link_and_the_command_that_trusts_the_system(system: System) -> None:
    assert LINK.search(system.output)
    assert f"  {trust_command(system.state)}\n" in system.output


def test_each_status_prints_a_link_of_its_own_that_makes_the_user_an_admin(system: System) -> None:
    keys = [LINK.search(system.run("status").stdout) for _ in range(2)]
    assert keys[0]
    assert keys[1]
    assert keys[0][1] != keys[1][1]
    for found in keys:
        assert found
        status, told, cookie = post(system, "/session/enter", {"key": found[1]})
        assert (status, told["subject"], told["role"]) == (200, getpass.getuser(), "admin")
        assert re.match(r"__Host-celeriac-[0-9a-f]{8}=", cookie)


def test_a_second_factor_for_one_person_raises_her_sign_in(system: System) -> None:
    enrolled = system.run("enrol", "--user", getpass.getuser())
    assert enrolled.returncode == 0, enrolled.stderr
    secret = parse_qs(urlsplit(enrolled.stdout.strip()).query)["secret"][0]
    found = LINK.search(system.run("status").stdout)
    assert found
    _, _, cookie = post(system, "/session/enter", {"key": found[1]})
    sent = {"cookie": cookie, "sec_fetch_site": "same-origin"}
    status, told, _ = post(system, "/session/step-up", {"code": pyotp.TOTP(secret).now()}, **sent)
    assert (status, told["role"]) == (200, "super_admin")
