"""A real Chromium (Debian's), in which the system's authority is trusted as a person would trust it."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from deploy.standalone.browser import trust_command

CHROMIUM, CERTUTIL = shutil.which("chromium"), shutil.which("certutil")
needs_browser = pytest.mark.skipif(
    not (CHROMIUM and CERTUTIL),
    reason="needs Chromium and certutil: apt-get install chromium libnss3-tools",
)


@contextlib.contextmanager
def trusting_browser(state: Path) -> Iterator[Browser]:
    """A browser of a new user, who typed the command that `make up` shows."""
    with tempfile.TemporaryDirectory(prefix="celeriac-home-") as home:
        environment = {**os.environ, "HOME": home}
        subprocess.run(["bash", "-c", trust_command(state)], env=environment, check=True, timeout=30)
        with sync_playwright() as playwright:
            # As root, which tests in a container run as, Chromium has no sandbox.
            browser = playwright.chromium.launch(
                executable_path=CHROMIUM, args=["--no-sandbox"], env=dict(environment)
            )
            try:
                yield browser
            finally:
                browser.close()
