"""The door as a process: pages and files, errors, health, metrics, and its end."""

from __future__ import annotations

import gzip
import json
import re
import socket
import ssl
from pathlib import Path

import brotli
import pytest

from deploy.standalone.tokens import LocalIssuer
from services.door.signing import KEY_PREFIX
from tests.support.calls import eventually
from tests.support.doors import DoorProcess, running_door

PAGE = "<!doctype html>"


def assets_of(door: DoorProcess) -> list[str]:
    """What the first page loads."""
    return re.findall(r'"(/assets/[^"]+)"', door.request("GET", "/").body.decode())


@pytest.mark.parametrize("path", ["/", "/schedules", "/schedules/a-name", "/tasks", "/session/enter"])
def test_a_path_of_a_page_is_answered_with_a_page_that_may_do_little(door: DoorProcess, path: str) -> None:
    answer = door.request("GET", path)
    assert answer.status == 200
    assert answer.body.decode().startswith(PAGE)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    policy = answer.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy


@pytest.mark.parametrize("path", ["/assets/style.css", "/assets/..%2findex.html", "/index", "/etc/passwd"])
def test_another_path_is_told_as_a_rest_caller_gets_errors(door: DoorProcess, path: str) -> None:
    answer = door.request("GET", path, x_request_id="of-this-test")
    assert (answer.status, answer.reason) == (404, "PAGE_NOT_FOUND")
    assert answer.json["code"] == 5
    assert answer.json["details"][1]["request_id"] == "of-this-test"


def test_a_page_is_only_read(door: DoorProcess) -> None:
    assert door.request("POST", "/", {}).reason == "PAGE_NOT_FOUND"
    head = door.request("HEAD", "/")
    assert (head.status, head.body) == (200, b"")
    assert int(head.headers["content-length"]) == len(door.request("GET", "/").body)


def test_a_file_comes_in_the_form_that_the_caller_takes(door: DoorProcess) -> None:
    for path in ["/", *assets_of(door)]:
        plain = door.request("GET", path)
        assert "content-encoding" not in plain.headers
        assert plain.headers["vary"] == "accept-encoding"
        brotlied = door.request("GET", path, accept_encoding="gzip, deflate, br, zstd")
        assert brotlied.headers["content-encoding"] == "br"
        assert brotli.decompress(brotlied.body) == plain.body
        gzipped = door.request("GET", path, accept_encoding="br;q=0, gzip")
        assert gzipped.headers["content-encoding"] == "gzip"
        assert gzip.decompress(gzipped.body) == plain.body
        # Each form is a representation of its own (RFC 9110, section 8.8.3).
        assert len({answer.headers["etag"] for answer in (plain, brotlied, gzipped)}) == 3


def test_what_a_browser_has_already_is_not_sent_again(door: DoorProcess) -> None:
    first = door.request("GET", "/")
    etag = first.headers["etag"]
    again = door.request("GET", "/", if_none_match=f'"other", W/{etag}')
    assert (again.status, again.body, again.headers["etag"]) == (304, b"", etag)
    assert door.request("GET", "/", if_none_match='"other"').status == 200


def test_what_pages_load_may_be_kept_for_ever(door: DoorProcess) -> None:
    assert assets_of(door)
    for path in assets_of(door):
        answer = door.request("GET", path)
        assert answer.status == 200
        assert "immutable" in answer.headers["cache-control"]


def test_it_tells_of_itself_as_services_do(door: DoorProcess) -> None:
    door.request("GET", "/nowhere")
    assert "database: ok" in door.page("/readyz")
    assert "event loop: ok" in door.page("/livez")
    metrics = door.page("/metrics")
    assert 'celeriac_door_requests_total{route="page",status="404"}' in metrics
    assert 'celeriac_loop_failures_total{loop="revocations"}' in metrics
    assert '"event": "http.answered"' in door.log()


def test_only_who_has_a_certificate_of_the_system_is_answered(door: DoorProcess) -> None:
    class Stranger(DoorProcess):
        def context(self) -> ssl.SSLContext:
            return ssl.create_default_context(cafile=self._state / "ca.pem")

    stranger = Stranger(door._state, {})
    stranger.port = door.port
    with pytest.raises(OSError, match=r"(?i)certificate|reset|closed|EOF|alert"):
        stranger.request("GET", "/")


def test_a_door_that_stops_says_so_first_and_answers_until_then(
    certificates: Path, tokens: LocalIssuer, database_url: str
) -> None:
    with running_door(certificates, database_url, CELERIAC_DRAIN_SECONDS="2") as stopping:
        assert stopping.process is not None
        stopping.process.terminate()
        eventually(lambda: stopping.request("GET", "/readyz").status == 503)
        assert stopping.request("GET", "/").status == 200
        assert stopping.process.wait(30) == 0
        assert '"event": "process.stopping"' in stopping.log()


def test_who_hangs_up_in_the_middle_of_a_request_is_no_incident(door: DoorProcess) -> None:
    head = b"POST /session/enter HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{"
    with (
        socket.create_connection(("127.0.0.1", door.port), timeout=30) as plain,
        door.context().wrap_socket(plain, server_hostname="127.0.0.1") as caller,
    ):
        caller.sendall(head)
    eventually(lambda: '"path": "/session/enter"' in door.log())
    assert "http.failed" not in door.log()


def test_while_its_key_is_withdrawn_a_door_spends_no_link(
    certificates: Path, tokens: LocalIssuer, door: DoorProcess
) -> None:
    link = door.request("POST", "/session/links", {}, tokens.mint("admin")).json["link"]
    key, key_set = {"key": link.partition("#")[2]}, certificates / "jwks.json"
    whole = key_set.read_text()
    others = [each for each in json.loads(whole)["keys"] if not each["kid"].startswith(KEY_PREFIX)]
    key_set.write_text(json.dumps({"keys": others}))
    try:
        refused = door.request("POST", "/session/enter", key)
    finally:
        key_set.write_text(whole)
    assert (refused.status, refused.reason) == (503, "NOT_READY")
    assert "CELERIAC_JWKS" in refused.json["message"]
    assert door.request("POST", "/session/enter", key).status == 200


def test_a_second_door_on_the_same_port_ends_with_what_to_look_at(door: DoorProcess) -> None:
    second = DoorProcess(door._state, door._environment)
    second._environment |= {"CELERIAC_LISTEN": door.address}
    with pytest.raises(AssertionError, match="the door did not start"):
        second.start()
    assert "(CELERIAC_LISTEN): is the port taken?" in second.log()
