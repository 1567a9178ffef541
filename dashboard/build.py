"""python -m dashboard.build: makes `services/door/static` from the files of this folder.

What pages load gets a name with a hash of its content, so that browsers may keep it for ever. Every file is
compressed here, once, instead of at each request. The result is committed, so that nobody who runs the system
needs these tools; tests/unit/door/test_static_files.py compares it with its sources.
"""

from __future__ import annotations

import gzip
import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path

import brotli

SOURCES = Path(__file__).parent / "pages"
STATIC = Path(__file__).parents[1] / "services/door/static"
ASSETS = "assets"
# Of what pages load, and of what may be asked for by its own name.
LOADED, ASKED_FOR = (".css", ".js"), (".html", ".svg", ".txt")
# Compressed, a smaller file would be longer with its headers.
LEAST_COMPRESSED = 256


def built() -> dict[str, bytes]:
    """Returns the content of each file by its path below `static`, but for the compressed forms."""
    found: dict[str, bytes] = {}
    names: dict[str, str] = {}
    # What is loaded by others comes first: its name has to be known where it is loaded.
    for source in sorted(_sources(LOADED), key=lambda source: b"import " in source.read_bytes()):
        content = _linked(source, names)
        name = f"{ASSETS}/{source.stem}-{hashlib.sha256(content).hexdigest()[:12]}{source.suffix}"
        found[name], names[source.name] = content, name
    return found | {source.name: _linked(source, names) for source in _sources(ASKED_FOR)}


def main() -> None:
    shutil.rmtree(STATIC, ignore_errors=True)
    for name, content in built().items():
        path = STATIC / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        if len(content) >= LEAST_COMPRESSED:
            path.with_name(path.name + ".gz").write_bytes(gzip.compress(content, 9, mtime=0))
            path.with_name(path.name + ".br").write_bytes(brotli.compress(content))


def _linked(source: Path, names: Mapping[str, str]) -> bytes:
    """Returns the file's content, with the names that the assets have there where it is asked for them."""
    text = source.read_text(encoding="utf-8")
    for plain, hashed in names.items():
        text = text.replace(f'"/{ASSETS}/{plain}"', f'"/{hashed}"')
    return text.encode()


def _sources(suffixes: tuple[str, ...]) -> list[Path]:
    return sorted(path for path in SOURCES.iterdir() if path.suffix in suffixes)


if __name__ == "__main__":
    main()
