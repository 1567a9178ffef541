"""The committed pages are what their sources give, and so are their compressed forms."""

from __future__ import annotations

import gzip
import os
import re

import brotli
import pytest

from dashboard.build import STATIC, built
from protos.node import NoNode

ENCODINGS = (".gz", ".br")
# What a browser loads before it shows the first page, in bytes as gzip: design text 11.
MOST_OF_THE_FIRST_PAGE = 160_000


def committed() -> dict[str, bytes]:
    return {str(path.relative_to(STATIC)): path.read_bytes() for path in STATIC.rglob("*") if path.is_file()}


def test_the_committed_files_are_those_that_the_sources_give() -> None:
    try:
        sources = built()
    except NoNode as reason:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"needs Node.js and npm's registry: {reason}")
    plain = {name: content for name, content in committed().items() if not name.endswith(ENCODINGS)}
    assert sorted(plain) == sorted(sources), "build them anew: make dashboard"
    different = [name for name in plain if plain[name] != sources[name]]
    assert different == [], "build them anew: make dashboard"


def test_a_compressed_form_has_the_content_of_its_file() -> None:
    found, compressed = committed(), 0
    for name, content in found.items():
        if name.endswith(".gz"):
            assert gzip.decompress(content) == found[name.removesuffix(".gz")]
        elif name.endswith(".br"):
            assert brotli.decompress(content) == found[name.removesuffix(".br")]
        else:
            continue
        assert len(content) < len(found[name[:-3]])
        compressed += 1
    assert compressed >= 2 * sum(name.endswith(".js") for name in found)


def test_pages_have_no_script_and_no_style_within_them() -> None:
    for page in STATIC.glob("*.html"):
        text = page.read_text()
        assert not re.search(r"<style|style=|javascript:| on[a-z]+=", text), page
        assert all(re.search(r'\bsrc="/', script) for script in re.findall(r"<script[^>]*>", text)), page


def test_the_first_page_is_small() -> None:
    """Everything but the texts of the runbook, which are loaded when they are asked for."""
    found = committed()
    loaded = [
        name for name in found if name.endswith((".js.gz", ".css.gz")) and not re.search(r"/(en|zh)-", name)
    ]
    assert 50_000 < sum(len(found[name]) for name in loaded) <= MOST_OF_THE_FIRST_PAGE
