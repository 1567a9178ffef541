"""The runbook has the same chapters, parts and commands in both languages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
ENGLISH, CHINESE = DOCS / "runbook.md", DOCS / "runbook.zh-TW.md"
# Chapters of alerts have a rule's id as their heading; what stands before them is for all alerts.
CHAPTER = re.compile(r"^## ([a-z0-9]+(?:-[a-z0-9]+)*)$", re.MULTILINE)
PARTS = {
    ENGLISH: ["What it means", "How to look", "What to do", "If it is a false alarm"],
    CHINESE: ["這代表什麼", "怎麼看", "怎麼處理", "如果是誤報"],
}
BLOCK = re.compile(r"^ *```(\w+)\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)
EACH = pytest.mark.parametrize("page", [ENGLISH, CHINESE], ids=lambda page: page.name)


def chapters(page: Path) -> dict[str, str]:
    """The text of each alert's chapter by its heading, in the order of the page."""
    _, *rest = CHAPTER.split(page.read_text(encoding="utf-8"))
    return dict(zip(rest[::2], rest[1::2], strict=True))


def commands(page: Path) -> list[tuple[str, list[str]]]:
    """Each block of code with its kind and lines, without the comments, which are in the page's language."""
    blocks = BLOCK.findall(page.read_text(encoding="utf-8"))
    return [(kind, [line.partition("# ")[0].strip() for line in text.splitlines()]) for kind, text in blocks]


@EACH
def test_each_chapter_has_its_four_parts_in_order(page: Path) -> None:
    wrong = {
        name: found
        for name, text in chapters(page).items()
        if (found := re.findall(r"^\*\*([^*\n]+?)[.。]\*\*", text, re.MULTILINE)) != PARTS[page]
    }
    assert wrong == {}


@EACH
def test_the_table_at_the_beginning_lists_the_chapters_in_their_order(page: Path) -> None:
    beginning = CHAPTER.split(page.read_text(encoding="utf-8"))[0]
    listed = re.findall(r"^\| \[([a-z0-9-]+)\]\(#\1\) \|", beginning, re.MULTILINE)
    assert listed == list(chapters(page))


@EACH
def test_links_to_chapters_lead_to_one(page: Path) -> None:
    linked = set(re.findall(r"\]\(#([^)]+)\)", page.read_text(encoding="utf-8")))
    assert linked - chapters(page).keys() == set()


def test_both_languages_have_the_same_chapters_and_commands() -> None:
    assert list(chapters(ENGLISH)) == list(chapters(CHINESE))
    assert commands(ENGLISH) == commands(CHINESE)
