"""Markdown for what stands in comments: as it was written, with nothing read as markup but code."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

# The address of what a name names; "" if it is not to be a link.
Linked: TypeAlias = Callable[[str], str]

# Code is between back ticks. Outside it these would begin emphasis, links or HTML.
CODE = re.compile(r"(`[^`]*`)")
MARKUP = re.compile(r"([*\[\]<\\])")
# Names of two or more words: "Task" and "Run" are words of sentences, too.
NAME = re.compile(r"\b(?:[A-Z][a-z0-9]+){2,}(?:\.[A-Za-z_]+)?\b")


def text(comment: str, linked: Linked = lambda _: "") -> str:
    """A comment as paragraphs, each on one line; lists keep their lines. Known names become links."""
    return "\n\n".join(_paragraph(part, linked) for part in re.split(r"\n\s*\n", comment))


def in_cell(comment: str, linked: Linked = lambda _: "") -> str:
    """A comment as the content of a table's cell."""
    return text(comment, linked).replace("|", "\\|").replace("\n\n", "<br>").replace("\n", "<br>")


def anchor(heading: str) -> str:
    """What GitHub and GitLab make of a heading, to be linked to."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    return [*lines, *(f"| {' | '.join(row)} |" for row in rows)]


def _paragraph(lines: str, linked: Linked) -> str:
    joined = re.sub(r"\n(?!- )", " ", lines)
    parts = CODE.split(joined)
    return "".join(part if part.startswith("`") else _marked(part, linked) for part in parts)


def _marked(plain: str, linked: Linked) -> str:
    def link(found: re.Match[str]) -> str:
        address = linked(found[0]) or linked(found[0].partition(".")[0])
        return f"[{found[0]}]({address})" if address else found[0]

    return NAME.sub(link, MARKUP.sub(r"\\\1", plain))
