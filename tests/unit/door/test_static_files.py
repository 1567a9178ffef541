"""The committed pages are what their sources give, and so are their compressed forms."""

from __future__ import annotations

import gzip
import re

import brotli

from dashboard.build import SOURCES, STATIC, built

ENCODINGS = (".gz", ".br")


def committed() -> dict[str, bytes]:
    return {str(path.relative_to(STATIC)): path.read_bytes() for path in STATIC.rglob("*") if path.is_file()}


def test_the_committed_files_are_those_that_the_sources_give() -> None:
    plain = {name: content for name, content in committed().items() if not name.endswith(ENCODINGS)}
    assert plain == built(), "build them anew: make dashboard"


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
    assert compressed >= 2 * len(list(SOURCES.glob("*.js")))


def test_pages_have_no_script_and_no_style_within_them() -> None:
    for page in SOURCES.glob("*.html"):
        text = page.read_text()
        assert not re.search(r"<style|style=|javascript:| on[a-z]+=", text), page
        assert all(re.search(r'\bsrc="/', script) for script in re.findall(r"<script[^>]*>", text)), page


def test_each_text_of_a_page_is_there_in_both_languages() -> None:
    for page in SOURCES.glob("*.html"):
        text = page.read_text()
        parts = re.findall(r'lang="(en|zh-Hant-TW)">', text)
        assert parts.count("en") == parts.count("zh-Hant-TW") + (1 if '<html lang="en">' in text else 0), page
