"""Every command that the documents show is run on the real system, as a reader would paste it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.processes import ROOT
from tests.support.system import System

# Blocks marked `sh` are run; what needs another machine or application stands in blocks marked `console`.
# These start or end a system, or take as long as this whole run: tests/e2e/standalone and CI run them.
USUAL_PORT = 8443
GRPCURL = Path(sys.executable).with_name("grpcurl")
RUN_ELSEWHERE = re.compile(r"^make (up|down|test|bench)\b|^make logs(?!.*FOLLOW=0)|^git clone\b")
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.DOTALL | re.MULTILINE)
PAGES = [
    page
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    if BLOCK.search(page.read_text())
]


def commands_of(page: Path) -> list[str]:
    """The commands in the page's `sh` blocks, in the order of reading."""
    text = "\n".join(BLOCK.findall(page.read_text()))
    lines = re.sub(r" *\\\n *", " ", text).splitlines()
    commands = [line.partition("  # ")[0].strip() for line in lines]
    return [line for line in commands if line and not line.startswith("#") and not RUN_ELSEWHERE.match(line)]


def as_a_script(commands: list[str], system: System) -> str:
    """One script that ends at the first command that fails, for this system's port and state folder."""
    script = "\n".join(map(_strict, commands))
    moved = re.sub(r"127\.0\.0\.1:(84\d\d)", lambda port: _moved(int(port[1]), system), script)
    return re.sub(r"\.celeriac(?=[/\s])", str(system.state), moved)


def _moved(port: int, system: System) -> str:
    return f"127.0.0.1:{port - USUAL_PORT + system.port}"


def _strict(command: str) -> str:
    """curl takes a refusal for a success unless told otherwise, and a stream's end for a fault."""
    if command.startswith("curl "):
        command = command.replace("curl ", "curl --fail-with-body --silent --show-error ", 1)
    return f"{command} || [ $? -eq 28 ]" if "--max-time" in command else command


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_of_a_page_does_what_it_says(system: System, page: Path, tmp_path: Path) -> None:
    script = as_a_script(commands_of(page), system)
    # A reader has installed it by the command of the page, which is in a `console` block.
    (tmp_path / "grpcurl").symlink_to(GRPCURL)
    ran = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        # The contexts of whoever runs the tests are left alone.
        env={
            **system.environment,
            "XDG_CONFIG_HOME": str(tmp_path),
            "XDG_CACHE_HOME": str(tmp_path),
            "PATH": f"{tmp_path}:{os.environ['PATH']}",
        },
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=150,
    )
    assert ran.returncode == 0, (
        f"{script}\n\nsaid:\n{ran.stdout[-3000:]}\n{ran.stderr[-3000:]}\n{system.output[-6000:]}"
    )


def test_the_readme_is_among_them() -> None:
    assert ROOT / "README.md" in PAGES
