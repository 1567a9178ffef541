"""The TypeScript client against the whole system, through its gateway: in Node, and in a real browser."""

from __future__ import annotations

import json
import mimetypes
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Route

from protos.node import CLIENT, npm
from tests.support.browsers import needs_browser, trusting_browser
from tests.support.system import System
from tests.support.typescript import checked_packages, compiled_client, run_node, run_tool

README = (CLIENT / "README.md").read_text()
EXAMPLES = re.findall(r"^```ts\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
# What the page of the browser does with the client.
SEEN_BY_A_PAGE = """
async (token) => {
  const { connect, NotFound } = await import("/typescript-test/build/src/web.js");
  const client = connect({ token: async () => token });
  const names = [];
  for await (const schedule of client.schedules.list()) names.push(schedule.id);
  const refused = await client.schedules.get("nowhere").catch((error) => error);
  const event = await client.monitoring.watch({ metricsInterval: "1s" })[Symbol.asyncIterator]().next();
  return {
    names,
    isNotFound: refused instanceof NotFound,
    reason: refused.reason,
    requestId: refused.requestId,
    event: event.value.type,
    lost: await connect({ target: "127.0.0.1:1" }).system.checkHealth().catch((error) => error.message),
  };
}
"""


@pytest.fixture(scope="module")
def build() -> Path:
    return compiled_client()


@pytest.fixture(scope="module")
def settings(system: System) -> dict[str, str]:
    return {
        "CELERIAC_TARGET": f"127.0.0.1:{system.port}",
        "CELERIAC_CA": str(system.state / "ca.pem"),
        "CELERIAC_TOKEN": system.token(),
    }


def test_in_node(build: Path, settings: dict[str, str]) -> None:
    run_node("--test", str(build / "test/system.test.js"), **settings)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A project of someone else who has the package."""
    checked_packages()
    npm(CLIENT, "run", "build")
    project = tmp_path_factory.mktemp("project")
    npm(CLIENT, "pack", "--pack-destination", str(project))
    (project / "package.json").write_text('{"type": "module"}')
    npm(project, "install", "--ignore-scripts", "./celeriac-client-0.2.0.tgz")
    yield project
    shutil.rmtree(CLIENT / "dist")


def test_the_quick_start_in_a_project_that_installed_the_package(
    installed: Path, system: System, settings: dict[str, str]
) -> None:
    quick_start = EXAMPLES[0].replace("127.0.0.1:8443", settings["CELERIAC_TARGET"])
    program = installed / "quick-start.ts"
    program.write_text(quick_start.replace(".celeriac/ca.pem", settings["CELERIAC_CA"]))
    said = run_node(str(program), TOKEN=settings["CELERIAC_TOKEN"])
    assert re.search(r"^process-new-chat-vectors-hourly \d{4}-.*Z$", said, re.MULTILINE), said


def test_the_longer_example(installed: Path, settings: dict[str, str]) -> None:
    program = installed / "longer.ts"
    program.write_text(EXAMPLES[1])
    said = run_node(str(program), **settings)
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT19:30:00.000Z\n\d+ would be run again\nSCHEDULE_NOT_FOUND \S+\n", said
    ), said


def test_all_examples_have_the_types_of_the_package(installed: Path) -> None:
    watching = f'import {{ connect }} from "@celeriac/client";\nconst client = connect();\n{EXAMPLES[2]}'
    programs = [installed / f"example-{index}.ts" for index in range(3)]
    for program, example in zip(programs, [*EXAMPLES[:2], watching], strict=True):
        program.write_text(example)
    options = ("--strict", "--module", "nodenext", "--target", "es2023", "--skipLibCheck", "--types", "node")
    types = str(CLIENT / "node_modules/@types")
    run_tool("tsc", "--noEmit", "--ignoreConfig", *options, "--typeRoots", types, *map(str, programs))


@needs_browser
def test_in_a_browser(build: Path, system: System, settings: dict[str, str]) -> None:
    origin = f"https://{settings['CELERIAC_TARGET']}"
    with trusting_browser(system.state) as browser:
        page = browser.new_page()
        page.route(f"{origin}/typescript-test/**", _from_the_package)
        page.goto(f"{origin}/typescript-test/")
        seen = page.evaluate(SEEN_BY_A_PAGE, settings["CELERIAC_TOKEN"])
    assert "process-new-chat-vectors-hourly" in seen["names"]
    assert (seen["isNotFound"], seen["reason"]) == (True, "SCHEDULE_NOT_FOUND")
    assert re.fullmatch(r"[0-9a-f-]{36}", seen["requestId"])
    assert seen["event"] == "metrics"
    assert seen["lost"] == "127.0.0.1:1 can't be reached, or this browser does not trust its certificate"


def _from_the_package(route: Route) -> None:
    """Answers with a file of the package, and the page itself with the places of the libraries."""
    path = urlsplit(route.request.url).path.removeprefix("/typescript-test/")
    if not path:
        imports = json.dumps({"imports": dict(_libraries())})
        body = f'<!doctype html><script type="importmap">{imports}</script>'
        route.fulfill(body=body, content_type="text/html")
    else:
        kind, _ = mimetypes.guess_type(path)
        route.fulfill(body=(CLIENT / path).read_bytes(), content_type=kind or "text/plain")


def _libraries() -> Iterator[tuple[str, str]]:
    """The modules that the client imports by a package's name, and the path of each."""
    for package in ("@bufbuild/protobuf", "@connectrpc/connect", "@connectrpc/connect-web"):
        folder = CLIENT / "node_modules" / package
        described: Any = json.loads((folder / "package.json").read_text())
        for name, where in described["exports"].items():
            if isinstance(where, dict) and "import" in where:
                found = where["import"]
                path = found if isinstance(found, str) else found["default"]
                yield package + name[1:], f"/typescript-test/node_modules/{package}/{path[2:]}"
