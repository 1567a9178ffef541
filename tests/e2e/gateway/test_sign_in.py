"""Sign-in by hand-made requests, through the gateway: links, the cookie, renewal, second factors, the end."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pyotp
import pytest
from celeriac.scheduler.v1 import schedules_pb2, schedules_pb2_grpc

from deploy.standalone.tokens import LocalIssuer
from services.door.signing import LIFE_SECONDS, LONGEST_SECONDS, Session
from services.kernel.identity import Role
from tests.e2e.gateway.conftest import Services
from tests.support.calls import eventually
from tests.support.doors import Entrance, running_entrance
from tests.support.processes import ROOT
from tests.support.sql import fetch_sync

LIST = "/v1/schedules"
GRPC_LIST = "/celeriac.scheduler.v1.ScheduleService/ListSchedules"
OF_SUPER_ADMINS = "/v1/revocations"
NO_MESSAGE = b"\0\0\0\0\0"


@pytest.fixture(scope="module")
def entrance(certificates: Path, tokens: LocalIssuer, services: Services) -> Iterator[Entrance]:
    """Two replicas of the door."""
    with running_entrance(
        certificates,
        services.ports,
        services.database_url,
        "first",
        replicas=2,
        CELERIAC_AUDIT_ADDRESS=services.audit.address,
    ) as running:
        yield running


@pytest.fixture
def cookie(entrance: Entrance, admin: str) -> str:
    return entrance.signed_in(admin)


def reason(answer: Any) -> str:
    # An answer that is no refusal has none.
    found: str = answer.json.get("details", [{"reason": ""}])[0]["reason"]
    return found


def claims(cookie: str) -> dict[str, Any]:
    found: dict[str, Any] = jwt.decode(cookie.partition("=")[2], options={"verify_signature": False})
    return found


def cookie_of(entrance: Entrance, session: Session, now: float) -> str:
    """A cookie as the door would have set it then."""
    return f"{entrance.cookie_name}={entrance.signer().sign(session, now).text}"


def grpc_web(entrance: Entrance, cookie: str, **headers: str) -> tuple[int, bytes]:
    answer = entrance.gateway.request(
        "POST", GRPC_LIST, NO_MESSAGE, content_type="application/grpc-web+proto", cookie=cookie, **headers
    )
    return answer.status, answer.body


def test_the_cookie_of_a_sign_in_is_for_this_host_alone_and_for_no_script(
    entrance: Entrance, admin: str
) -> None:
    answer = entrance.enter(entrance.link(admin))
    assert answer.status == 200
    value, *attributes = answer.headers["set-cookie"].split("; ")
    assert value.startswith("__Host-celeriac-first=")
    assert {"Path=/", "Secure", "HttpOnly", "SameSite=Strict", f"Max-Age={LIFE_SECONDS}"} == set(attributes)
    assert value.partition("=")[2] not in answer.body.decode()
    assert (answer.json["subject"], answer.json["role"]) == ("mei", "admin")


def test_a_call_lives_on_the_cookie_only_from_a_page_of_this_address(entrance: Entrance, cookie: str) -> None:
    assert entrance.ask("GET", LIST, cookie).status == 200
    status, body = grpc_web(entrance, cookie, sec_fetch_site="same-origin")
    assert (status, b"grpc-status:0" in body) == (200, True)
    for headers in ({"sec_fetch_site": "cross-site"}, {"sec_fetch_site": "same-site"}, {}):
        refused = entrance.gateway.rest("GET", LIST, None, "", cookie=cookie, **headers)
        assert (refused.status, reason(refused)) == (403, "CROSS_SITE")
        _, body = grpc_web(entrance, cookie, **headers)
        assert b"grpc-status: 7" in body
        assert b"only a page of this address" in body


def test_without_it_or_with_another_value_nothing_has_changed(entrance: Entrance, admin: str) -> None:
    missing = entrance.gateway.request("GET", LIST)
    assert (missing.status, reason(missing)) == (401, "TOKEN_MISSING")
    wrong = entrance.ask("GET", LIST, f"{entrance.cookie_name}=abc")
    assert (wrong.status, reason(wrong)) == (401, "TOKEN_INVALID")
    # Another copy's cookie comes along, as browsers know no ports.
    other = entrance.gateway.request("GET", LIST, cookie="__Host-celeriac-other=abc; theme=dark")
    assert reason(other) == "TOKEN_MISSING"


def test_a_token_in_the_header_counts_whatever_the_cookie_is(entrance: Entrance, admin: str) -> None:
    assert entrance.gateway.rest("GET", LIST, token=admin).status == 200
    stale = f"{entrance.cookie_name}=abc"
    assert entrance.gateway.rest("GET", LIST, token=admin, cookie=stale).status == 200
    with entrance.gateway.channel(admin) as channel:
        stub: Any = schedules_pb2_grpc.ScheduleServiceStub(channel)
        stub.ListSchedules(schedules_pb2.ListSchedulesRequest())


@pytest.mark.parametrize("path", ["/", "/schedules", "/session/enter", "/session"])
def test_a_page_is_shown_to_whoever_comes_from_anywhere(entrance: Entrance, cookie: str, path: str) -> None:
    for site in ("none", "cross-site", "same-site"):
        answer = entrance.gateway.request("GET", path, cookie=cookie, sec_fetch_site=site)
        assert answer.status == 200


def test_other_paths_and_verbs_are_refused_as_ever(entrance: Entrance) -> None:
    for verb, path in (("GET", "/index.html"), ("POST", "/"), ("GET", "/readyz"), ("GET", "/sessions")):
        answer = entrance.gateway.request(verb, path)
        assert (answer.status, reason(answer)) == (404, "UNIMPLEMENTED"), path
    assert reason(entrance.gateway.request("GET", "/session/nothing")) == "PAGE_NOT_FOUND"


@pytest.mark.parametrize("path", ["links", "renew", "step-up", "sign-out", "enter"])
def test_no_other_page_may_change_a_sign_in(entrance: Entrance, cookie: str, path: str) -> None:
    other_port = f"https://127.0.0.1:{entrance.gateway.port + 1}"
    for headers in ({"sec_fetch_site": "same-site"}, {"origin": other_port}):
        answer = entrance.gateway.rest("POST", f"/session/{path}", {}, cookie=cookie, **headers)
        assert (answer.status, reason(answer)) == (403, "CROSS_SITE")
    assert entrance.ask("GET", LIST, cookie).status == 200


def test_a_link_works_once_at_whatever_replica(entrance: Entrance, admin: str) -> None:
    for _ in range(3):
        key = {"key": entrance.link(admin).partition("#")[2]}
        with ThreadPoolExecutor(6) as pool:
            asked = [
                pool.submit(entrance.doors[number % 2].request, "POST", "/session/enter", key)
                for number in range(6)
            ]
        assert sorted(each.result().status for each in asked) == [200, *[410] * 5]
    again = entrance.gateway.rest("POST", "/session/enter", key)
    assert (again.status, reason(again)) == (410, "LINK_SPENT")


def test_a_link_is_too_old_after_two_minutes(entrance: Entrance, services: Services, admin: str) -> None:
    link = entrance.link(admin)
    left = "SELECT extract(epoch FROM max(expires_at) - now())::float8 AS left FROM door_links"
    assert 100 < fetch_sync(services.database_url, left)[0]["left"] <= 120
    fetch_sync(services.database_url, "UPDATE door_links SET expires_at = now() WHERE used_at IS NULL")
    assert entrance.enter(link).status == 410


def test_no_table_has_the_key_of_a_link(entrance: Entrance, services: Services, admin: str) -> None:
    key = entrance.link(admin).partition("#")[2]
    rows = fetch_sync(services.database_url, "SELECT door_links::text AS row FROM door_links")
    assert rows
    assert not any(key in row["row"] or key.encode().hex() in row["row"] for row in rows)


def test_a_link_gives_what_its_maker_may_and_never_more_than_an_admin(
    entrance: Entrance, tokens: LocalIssuer
) -> None:
    given = {"viewer": "viewer", "admin": "admin", "super_admin": "admin"}
    for role, wanted in given.items():
        cookie = entrance.signed_in(tokens.mint(role, subject="chen"))
        assert claims(cookie)["roles"] == [wanted]
    refused = entrance.gateway.request("POST", "/session/links", token=tokens.mint("writer"))
    assert (refused.status, reason(refused)) == (403, "ROLE_TOO_LOW")
    assert reason(entrance.gateway.request("POST", "/session/links")) == "TOKEN_MISSING"


def test_a_link_of_a_revoked_token_opens_nothing(entrance: Entrance, tokens: LocalIssuer) -> None:
    token = tokens.mint("admin", subject="lost", jti="token-of-a-lost-device")
    link, by_subject = entrance.link(token), entrance.link(tokens.mint("admin", subject="lost-person"))
    boss = tokens.mint("super_admin", subject="boss")
    for who in ({"token_id": "token-of-a-lost-device"}, {"subject": "lost-person"}):
        assert entrance.gateway.rest("POST", "/v1/access:revoke", who, token=boss).status == 200
    assert entrance.enter(link).status == 410
    assert entrance.enter(by_subject).status == 410


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"{", "body"),
        (b"[]", "key"),
        (b'{"key": 1}', "key"),
        (b'{"key": "a", "to": 1}', "to"),
        (b'{"key": "a", "key": "b"}', "key"),
    ],
)
def test_a_wrong_body_is_told_by_its_field_with_an_example(
    entrance: Entrance, body: bytes, field: str
) -> None:
    answer = entrance.gateway.request("POST", "/session/enter", body)
    assert (answer.status, reason(answer)) == (400, "INVALID_FIELDS")
    assert answer.json["message"].startswith(f"{field} ")
    assert "for example" in answer.json["message"]


def test_a_renewal_keeps_who_signed_in_when_and_until_when(entrance: Entrance, admin: str) -> None:
    now = time.time()
    begun = Session.begun("mei", Role.ADMIN, now - 4000)
    old = cookie_of(entrance, begun, now - LIFE_SECONDS // 2)
    answer = entrance.ask("POST", "/session/renew", old)
    assert answer.status == 200
    new = claims(answer.headers["set-cookie"].partition(";")[0])
    before = claims(old)
    for claim in ("sub", "roles", "auth_time", "session", "amr"):
        assert new[claim] == before[claim]
    assert new["exp"] > before["exp"]
    assert new["jti"] != before["jti"]


def test_twelve_hours_after_the_link_a_sign_in_is_over(entrance: Entrance, admin: str) -> None:
    now = time.time()
    nearly = Session.begun("mei", Role.ADMIN, now - LONGEST_SECONDS + 60)
    answer = entrance.ask("POST", "/session/renew", cookie_of(entrance, nearly, now))
    assert claims(answer.headers["set-cookie"].partition(";")[0])["exp"] == nearly.ends_at
    over = Session.begun("mei", Role.ADMIN, now - LONGEST_SECONDS - 5)
    # Within the leeway that clocks have, the token itself is still taken.
    refused = entrance.ask("POST", "/session/renew", cookie_of(entrance, over, now))
    assert (refused.status, reason(refused)) == (401, "SESSION_OVER")


def test_a_token_of_another_kind_of_sign_in_is_not_prolonged(entrance: Entrance, admin: str) -> None:
    refused = entrance.ask("POST", "/session/renew", f"{entrance.cookie_name}={admin}")
    assert (refused.status, reason(refused)) == (401, "SESSION_OVER")


def test_who_signs_out_is_signed_out_everywhere(entrance: Entrance, cookie: str) -> None:
    answer = entrance.ask("POST", "/session/sign-out", cookie, {})
    assert answer.status == 200
    assert answer.headers["set-cookie"].startswith(f"{entrance.cookie_name}=; Path=/; Max-Age=0;")

    def refused() -> bool:
        found = entrance.ask("GET", LIST, cookie)
        return found.status == 401 and reason(found) == "TOKEN_REVOKED"

    eventually(refused)
    for door in entrance.doors:
        eventually(
            lambda door=door: (
                not door.request("GET", "/session", token=cookie.partition("=")[2]).json["signed_in"]
            )
        )
    assert reason(entrance.ask("POST", "/session/renew", cookie)) == "TOKEN_REVOKED"


def test_the_end_of_a_sign_in_ends_each_token_and_each_link_that_it_ever_had(
    entrance: Entrance, cookie: str
) -> None:
    renewed = entrance.ask("POST", "/session/renew", cookie).headers["set-cookie"].partition(";")[0]
    link = entrance.ask("POST", "/session/links", cookie).json["link"]
    assert claims(renewed)["sid"] == claims(cookie)["sid"]
    assert claims(renewed)["jti"].startswith(claims(cookie)["sid"])
    assert entrance.ask("POST", "/session/sign-out", renewed, {}).status == 200
    for each in (cookie, renewed):
        eventually(lambda each=each: reason(entrance.ask("GET", LIST, each)) == "TOKEN_REVOKED")
        for path in ("renew", "links"):
            assert reason(entrance.ask("POST", f"/session/{path}", each)) == "TOKEN_REVOKED"
    assert entrance.enter(link).status == 410


def test_a_sign_in_is_revoked_by_its_id(entrance: Entrance, tokens: LocalIssuer, cookie: str) -> None:
    other = entrance.signed_in(tokens.mint("admin"))
    renewed = entrance.ask("POST", "/session/renew", cookie).headers["set-cookie"].partition(";")[0]
    boss, session = tokens.mint("super_admin", subject="boss"), {"token_id": claims(cookie)["sid"]}
    assert entrance.gateway.rest("POST", "/v1/access:revoke", session, token=boss).status == 200
    for each in (cookie, renewed):
        eventually(lambda each=each: entrance.ask("GET", LIST, each).status == 401)
    assert entrance.ask("GET", LIST, other).status == 200


def test_a_door_that_starts_anew_knows_links_and_sign_ins(
    entrance: Entrance, admin: str, cookie: str
) -> None:
    link = entrance.link(admin)
    for door in entrance.doors:
        assert door.stop() == 0
        door.start()
        entrance.gateway.await_replica(door.address)
    assert entrance.enter(link).status == 200
    assert entrance.ask("POST", "/session/renew", cookie).status == 200


def enrolled(entrance: Entrance, subject: str) -> pyotp.TOTP:
    """Makes a second factor by the door's command, as `make enrol USER=…` does."""
    done = subprocess.run(
        [sys.executable, "-m", "services.door", "enrol"],
        env=entrance.doors[0]._environment,
        cwd=ROOT,
        input=f"{subject}\n",
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    uri = urlsplit(done.stdout.strip())
    assert uri.path == f"/Celeriac:{subject}"
    return pyotp.TOTP(parse_qs(uri.query)["secret"][0])


def test_a_second_factor_makes_an_admin_a_super_admin_for_a_while(
    entrance: Entrance, services: Services, tokens: LocalIssuer
) -> None:
    cookie = entrance.signed_in(tokens.mint("admin", subject="lin"))
    assert reason(entrance.ask("GET", OF_SUPER_ADMINS, cookie)) == "ROLE_TOO_LOW"
    none = entrance.ask("POST", "/session/step-up", cookie, {"code": "123456"})
    assert (none.status, reason(none)) == (400, "SECOND_FACTOR_NOT_ENROLLED")
    totp = enrolled(entrance, "lin")
    code = totp.now()
    answer = entrance.ask("POST", "/session/step-up", cookie, {"code": code})
    assert (answer.status, answer.json["role"], answer.json["second_factor"]) == (200, "super_admin", True)
    raised = answer.headers["set-cookie"].partition(";")[0]
    assert claims(raised)["exp"] <= time.time() + 600
    assert entrance.ask("GET", OF_SUPER_ADMINS, raised).status == 200
    # One that asks for a fresh second factor: it answers that there is no such secret.
    assert reason(entrance.ask("POST", "/v1/configs/secrets.none:reveal", raised, {})) == "CONFIG_NOT_FOUND"
    # Each code counts once, at whatever replica.
    for door in entrance.doors:
        again = door.request("POST", "/session/step-up", {"code": code}, cookie.partition("=")[2])
        assert (again.status, again.reason) == (403, "SECOND_FACTOR_WRONG")
    rows = fetch_sync(services.database_url, "SELECT secret FROM door_factors WHERE subject = 'lin'")
    assert totp.secret not in rows[0]["secret"]


def test_what_a_second_factor_gave_ends_with_it(entrance: Entrance) -> None:
    now = time.time()
    # Its token has just expired, by less than clocks may differ.
    given = Session.begun("lin", Role.ADMIN, now - 5000).stepped_up(now - 605)
    cookie = cookie_of(entrance, given, now)
    assert claims(cookie)["roles"] == ["super_admin"]
    answer = entrance.ask("POST", "/session/renew", cookie)
    assert (answer.json["role"], answer.json["second_factor"]) == ("admin", False)


def test_a_right_code_that_comes_several_times_locks_nobody_out(
    entrance: Entrance, services: Services, tokens: LocalIssuer
) -> None:
    cookie = entrance.signed_in(tokens.mint("admin", subject="hasty"))
    code = {"code": enrolled(entrance, "hasty").now()}
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(entrance.ask, "POST", "/session/step-up", cookie, code) for _ in range(8)]
    assert sorted(each.result().status for each in asked) == [200, *[403] * 7]
    rows = fetch_sync(services.database_url, "SELECT failures FROM door_factors WHERE subject = 'hasty'")
    assert rows[0]["failures"] == 0


def test_a_viewer_stays_a_viewer(entrance: Entrance, tokens: LocalIssuer) -> None:
    cookie = entrance.signed_in(tokens.mint("viewer", subject="guest"))
    totp = enrolled(entrance, "guest")
    answer = entrance.ask("POST", "/session/step-up", cookie, {"code": totp.now()})
    assert (answer.json["role"], answer.json["second_factor"]) == ("viewer", True)


def test_after_too_many_wrong_codes_none_is_taken_for_a_while(
    entrance: Entrance, services: Services, tokens: LocalIssuer
) -> None:
    cookie = entrance.signed_in(tokens.mint("admin", subject="guesser"))
    totp = enrolled(entrance, "guesser")
    wrong = f"{(int(totp.now()) + 1) % 1_000_000:06}"
    while totp.verify(wrong, valid_window=2):
        wrong = f"{(int(wrong) + 1) % 1_000_000:06}"
    for _ in range(5):
        assert (
            reason(entrance.ask("POST", "/session/step-up", cookie, {"code": wrong})) == "SECOND_FACTOR_WRONG"
        )
    locked = entrance.ask("POST", "/session/step-up", cookie, {"code": totp.now()})
    assert (locked.status, reason(locked)) == (429, "EXHAUSTED")
    assert 0 < int(locked.headers["retry-after"]) <= 60
    fetch_sync(
        services.database_url, "UPDATE door_factors SET locked_until = now() WHERE subject = 'guesser'"
    )
    assert entrance.ask("POST", "/session/step-up", cookie, {"code": totp.now()}).status == 200


def test_the_audit_log_tells_who_signed_in_and_who_was_refused(
    entrance: Entrance, tokens: LocalIssuer
) -> None:
    cookie = entrance.signed_in(tokens.mint("admin", subject="recorded"))
    entrance.ask("POST", "/session/step-up", cookie, {"code": "1"})
    entrance.ask("POST", "/session/sign-out", cookie, {})
    wanted = {
        "/session/links": "OUTCOME_OK",
        "/session/enter": "OUTCOME_OK",
        "/session/step-up": "OUTCOME_FAILED",
        "/session/sign-out": "OUTCOME_OK",
    }

    def told() -> dict[str, str]:
        reader = tokens.mint("admin", subject="reader")
        answer = entrance.gateway.request("GET", "/v1/auditRecords?actors=recorded", token=reader)
        return {record["method"]: record["outcome"] for record in answer.json["records"]}

    eventually(lambda: told() == wanted)
