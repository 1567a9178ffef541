"""Sign-in in a real browser, which trusts the system by the command that a person types."""

from __future__ import annotations

import contextlib
import http.server
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from deploy.standalone.tokens import LocalIssuer
from services.door.paths import LIVE
from tests.e2e.gateway.conftest import Services
from tests.support.browsers import needs_browser, trusting_browser
from tests.support.doors import Entrance, running_entrance

pytestmark = needs_browser

SCHEDULE = "schedules/of-the-browser"
CREATED = {
    "schedule": {
        "name": SCHEDULE,
        "task": {"task_name": "count", "queue": "queues/elsewhere"},
        "timing": {"crontab": {"expression": "0 3 * * *"}, "time_zone": "UTC"},
    }
}
POST_ELSEWHERE = (
    "async (url) => (await fetch(url, {method: 'POST', mode: 'no-cors', credentials: 'include'})).type"
)
# The type of the first message that a WebSocket brings.
FIRST_MESSAGE = """
    (address) => new Promise((done) => {
      const socket = new WebSocket(address, "celeriac.v1");
      socket.onmessage = (message) => { done(JSON.parse(message.data).type); socket.close(); };
      socket.onerror = () => done("refused");
    })
"""
STATUS_OF = "async ([path, verb]) => (await fetch(path, {method: verb ?? 'GET'})).status"


@pytest.fixture(scope="module")
def entrances(
    certificates: Path, tokens: LocalIssuer, services: Services
) -> Iterator[tuple[Entrance, Entrance]]:
    """Two copies on one host, on different ports."""
    with contextlib.ExitStack() as running:
        one, other = (
            running.enter_context(
                running_entrance(certificates, services.ports, services.database_url, instance)
            )
            for instance in ("copy-one", "copy-two")
        )
        yield one, other


@pytest.fixture(scope="module")
def entrance(entrances: tuple[Entrance, Entrance]) -> Entrance:
    return entrances[0]


@pytest.fixture(scope="module")
def browser(entrance: Entrance) -> Iterator[Browser]:
    with trusting_browser(entrance.state) as running:
        yield running


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(locale="en-US")
    yield context
    context.close()


def complaints_of(page: Page) -> list[str]:
    """What the browser says of a page's faults from now on; what its policy forbids is among them."""
    found: list[str] = []
    page.on("console", lambda message: found.append(message.text) if message.type != "log" else None)
    page.on("pageerror", lambda error: found.append(str(error)))
    return found


def signed_in(context: BrowserContext, entrance: Entrance, token: str) -> Page:
    page = context.new_page()
    page.goto(entrance.link(token))
    page.wait_for_url(f"{entrance.gateway.url}/")
    page.get_by_text("You are signed in as").wait_for()
    return page


def status_of(page: Page, path: str, verb: str = "GET") -> int:
    status: int = page.evaluate(STATUS_OF, [path, verb])
    return status


def test_a_link_signs_in_and_no_script_can_read_what_it_gave(
    entrance: Entrance, context: BrowserContext, admin: str
) -> None:
    page = signed_in(context, entrance, admin)
    assert page.locator("#who").text_content() == "mei"
    assert status_of(page, "/v1/schedules") == 200
    assert page.evaluate("document.cookie") == ""
    assert page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}])") == "[{},{}]"
    assert "#" not in page.url
    # Nor does going back show the key.
    page.go_back()
    assert "#" not in page.url
    [cookie] = context.cookies()
    assert (cookie["name"], cookie["httpOnly"], cookie["secure"], cookie["sameSite"]) == (
        entrance.cookie_name,
        True,
        True,
        "Strict",
    )


def test_a_link_that_was_used_says_so(entrance: Entrance, context: BrowserContext, admin: str) -> None:
    link = entrance.link(admin)
    entrance.enter(link)
    page = context.new_page()
    page.goto(link)
    page.get_by_text("This link was used, or is too old").wait_for()
    assert context.cookies() == []


@pytest.mark.parametrize(
    ("locale", "question"), [("en-US", "You are signed in as mei"), ("zh-TW", "目前登入者：mei")]
)
def test_who_is_signed_in_is_asked_before_a_link_signs_in_another(
    entrance: Entrance, browser: Browser, admin: str, tokens: LocalIssuer, locale: str, question: str
) -> None:
    context = browser.new_context(locale=locale)
    page = context.new_page()
    page.goto(entrance.link(admin))
    page.wait_for_url(f"{entrance.gateway.url}/")
    before = context.cookies()
    page.goto(entrance.link(tokens.mint("admin", subject="ada")))
    page.get_by_role("heading", name=question).wait_for()
    assert context.cookies() == before
    page.locator("#go-on").click()
    page.wait_for_url(f"{entrance.gateway.url}/")
    page.locator("#who", has_text="ada").wait_for()
    context.close()


def test_who_signs_out_sees_how_to_sign_in(entrance: Entrance, context: BrowserContext, admin: str) -> None:
    page = signed_in(context, entrance, admin)
    page.get_by_role("button", name="Sign out").click()
    page.get_by_text("On the machine where the system runs").wait_for()
    assert context.cookies() == []
    assert status_of(page, "/v1/schedules") == 401


def test_what_is_shown_can_be_used_before_the_state_of_the_system_is_known(
    entrance: Entrance, context: BrowserContext, admin: str
) -> None:
    # These calls are never answered.
    context.route("**/celeriac.monitor.v1.*/*", lambda _: None)
    page = signed_in(context, entrance, admin)
    page.get_by_role("button", name="Sign out").click()
    page.get_by_text("On the machine where the system runs").wait_for()


def test_two_copies_on_one_host_do_not_sign_each_other_out(
    entrances: tuple[Entrance, Entrance], context: BrowserContext, admin: str
) -> None:
    pages = [signed_in(context, each, admin) for each in entrances]
    for page in pages:
        page.reload()
        page.get_by_text("You are signed in as").wait_for()
        assert status_of(page, "/v1/schedules") == 200
    pages[0].get_by_role("button", name="Sign out").click()
    pages[0].get_by_text("On the machine where the system runs").wait_for()
    assert status_of(pages[1], "/v1/schedules") == 200


class Elsewhere(http.server.BaseHTTPRequestHandler):
    """A page of another port: for browsers the same site, and another origin."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>elsewhere</title>")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def elsewhere(certificates: Path) -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificates / "certs/gateway.crt", certificates / "certs/gateway.key")
    server.socket = tls.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"https://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_page_of_another_port_can_do_nothing_for_who_is_signed_in(
    entrance: Entrance, context: BrowserContext, admin: str, elsewhere: str
) -> None:
    gateway = entrance.gateway
    assert gateway.rest("POST", "/v1/schedules", CREATED, token=admin).status == 200
    page = signed_in(context, entrance, admin)
    other = context.new_page()
    other.goto(elsewhere)
    pause = f"{gateway.url}/v1/{SCHEDULE}:pause"
    with other.expect_response(pause) as refused:
        kind = other.evaluate(POST_ELSEWHERE, pause)
    # The browser sent the cookie along, as to a page of the same site: without it the answer would be 401.
    assert (kind, refused.value.status) == ("opaque", 403)
    assert not gateway.rest("GET", f"/v1/{SCHEDULE}", token=admin).json["schedule"]["paused"]
    # Its own page can, by the same cookie.
    assert status_of(page, f"/v1/{SCHEDULE}:pause", "POST") == 200
    assert gateway.rest("GET", f"/v1/{SCHEDULE}", token=admin).json["schedule"]["paused"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("locale", "heading"), [("en-US", "Sign in"), ("zh-TW", "登入")])
def test_the_page_is_whole_in_each_language_and_theme_also_on_a_phone(
    entrance: Entrance, browser: Browser, scheme: Any, locale: str, heading: str
) -> None:
    context = browser.new_context(color_scheme=scheme, locale=locale, viewport={"width": 375, "height": 700})
    page = context.new_page()
    complaints = complaints_of(page)
    page.goto(f"{entrance.gateway.url}/")
    page.get_by_role("heading", name=heading, exact=True).wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") == 375
    shown = page.locator("main").inner_text()
    assert ("Documents" in shown) is (locale == "en-US")
    assert ("文件" in shown) is (locale == "zh-TW")
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 20)"
    assert dark is (scheme == "dark")
    page.get_by_role("button", name="中文" if locale == "en-US" else "English").click()
    assert ("文件" in page.locator("main").inner_text()) is (locale == "en-US")
    assert complaints == []
    context.close()


def test_a_page_of_this_address_opens_the_web_socket_and_one_of_another_port_does_not(
    entrance: Entrance, context: BrowserContext, admin: str, elsewhere: str
) -> None:
    address = f"wss://{entrance.gateway.address}{LIVE}"
    page = signed_in(context, entrance, admin)
    assert page.evaluate(FIRST_MESSAGE, address) == "hello"
    other = context.new_page()
    other.goto(elsewhere)
    assert other.evaluate(FIRST_MESSAGE, address) == "refused"
    page.get_by_role("button", name="Sign out").click()
    page.get_by_text("On the machine where the system runs").wait_for()
    assert page.evaluate(FIRST_MESSAGE, address) == "refused"
