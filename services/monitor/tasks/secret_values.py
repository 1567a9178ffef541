"""Finds where the value after a name ends, in Python's reprs, in JSON, in settings and in headers.

Texts come from Celery's events, which cut them anywhere: a value without an end is one that is cut, and goes
on to the end of the text. All that is done here takes time in proportion to the length that is passed over.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

# Values that are none.
EMPTY = frozenset({"None", "null", "nil", "True", "true", "False", "false", "..."})

_QUOTE = re.compile(r"""(?:[bBrRuUfF]{1,2})?(\\*+)(["'])""")
_OPENING = re.compile(r"(?:[^\W\d][\w.]{0,200}+)?[\[({]")
_OBJECT = re.compile(r"<[^<>\n]{1,500}+>")
# A backslash before a quote or one of these letters ends a value in a repr: it is the next line.
_BARE = re.compile(r"""(?:[^\s"'\\,;&)\]}>]|\\\\|\\(?![nrt"'\\])|[)\]}>](?=\w))++""")
_HEADER = re.compile(r"""(?:[^"'\\\r\n]|\\\\)++""")
_NEXT = re.compile(r"""["'\[\](){}]""")
_NUMBER = re.compile(r"-?[0-9][0-9_.]*")


@dataclass(frozen=True, slots=True)
class Value:
    """Where a value is. What is between `start` and `end` is the value itself, without its quotes."""

    start: int
    end: int
    quoted: bool = False


def quoted_at(text: str, at: int, limit: int) -> Value | None:
    """Returns the text in quotes that begins at `at`."""
    opening = _QUOTE.match(text, at, limit)
    if opening is None:
        return None
    end = _closing(text, opening.end(), opening[2], len(opening[1]), limit)
    return Value(opening.end(), end[0], quoted=True)


def value_at(text: str, at: int, limit: int, *, header: bool = False) -> Value | None:
    """Returns the value that begins at `at`, no further than `limit`; None if there is none.

    `header`: one without quotes goes on to the end of its line.
    """
    quoted = quoted_at(text, at, limit)
    if quoted is not None:
        return quoted
    opening = _OPENING.match(text, at, limit)
    if opening is not None:
        return Value(at, _end_of_container(text, opening.end() - 1, limit))
    bare = _HEADER if header else _BARE
    found = _OBJECT.match(text, at, limit) or bare.match(text, at, limit)
    return Value(at, found.end()) if found else None


def is_number(text: str) -> bool:
    return _NUMBER.fullmatch(text) is not None


def _closing(text: str, at: int, quote: str, depth: int, limit: int) -> tuple[int, int]:
    """Returns where a text in quotes ends, and where its closing quote does; `limit` twice if it is cut.

    `depth`: the number of backslashes before its opening quote, as in JSON within a text: 1, within a text in
    a text: 3.
    """
    start = at
    while (found := text.find(quote, at, limit)) >= 0:
        escapes = _backslashes(text, found, start)
        # What closes has as many backslashes as what opened, after an even number of escaped ones.
        if escapes <= depth or (escapes + 1) % (2 * (depth + 1)) == depth + 1:
            return found - min(escapes, depth), found + 1
        at = found + 1
    return limit, limit


def _backslashes(text: str, before: int, start: int) -> int:
    at = before
    while at > start and text[at - 1] == "\\":
        at -= 1
    return before - at


def _end_of_container(text: str, at: int, limit: int) -> int:
    """Returns where the list, the dict or the call ends whose bracket is at `at`; `limit` if it is cut."""
    depth, start = 0, at
    while (found := _NEXT.search(text, at, limit)) is not None:
        at = found.end()
        if found[0] in "[({":
            depth += 1
        elif found[0] in "])}":
            depth -= 1
            if not depth:
                return at
        else:
            escapes = _backslashes(text, found.start(), start)
            _, at = _closing(text, at, found[0], escapes, limit)
        start = at
    return limit
