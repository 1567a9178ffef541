"""python -m dashboard.build: makes `services/door/static` from the sources of this folder, with Node.js.

Vite gives what pages load a name with a hash of its content, so that browsers may keep it for ever. Every
file is compressed here, once, instead of at each request. The result is committed, so that nobody who runs
the system needs these tools; tests/unit/door/test_static_files.py compares it with its sources.
"""

from __future__ import annotations

import gzip
import shutil
import subprocess
from pathlib import Path

import brotli

from protos.node import NoNode, environment, installed_packages, node

FOLDER = Path(__file__).parent
STATIC = FOLDER.parent / "services/door/static"
# What Vite writes, of which `static` is the committed copy.
OUTPUT = FOLDER / "build"
# Compressed, a smaller file would be longer with its headers.
LEAST_COMPRESSED = 256


def built() -> dict[str, bytes]:
    """Returns the content of each file by its path below `static`, not compressed. Raises NoNode."""
    packages = installed_packages(FOLDER)
    command = [str(node()), str(packages / "vite/bin/vite.js"), "build", "--logLevel", "warn"]
    done = subprocess.run(
        command, cwd=FOLDER, env=environment(), capture_output=True, text=True, timeout=300, check=False
    )
    if done.returncode:
        raise NoNode(f"the pages can't be built:\n{done.stdout}{done.stderr}")
    return {str(path.relative_to(OUTPUT)): path.read_bytes() for path in OUTPUT.rglob("*") if path.is_file()}


def main() -> None:
    content_of = built()
    shutil.rmtree(STATIC, ignore_errors=True)
    for name, content in content_of.items():
        path = STATIC / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        if len(content) >= LEAST_COMPRESSED:
            path.with_name(path.name + ".gz").write_bytes(gzip.compress(content, 9, mtime=0))
            path.with_name(path.name + ".br").write_bytes(brotli.compress(content))


if __name__ == "__main__":
    main()
