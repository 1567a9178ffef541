"""Ids by their first characters, as a list shows them where room is short: "9b4a6800"."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from celeriac.cli.failures import NOT_FOUND, USAGE, Problem

# So many characters are shown, and at least so many are taken for a short id.
SHOWN, LEAST = 8, 6
WHOLE = 36
SHORT = re.compile(f"[0-9a-f][0-9a-f-]{{{LEAST - 1},{WHOLE - 2}}}")
# Among so many of the newest it is looked for.
MOST = 1_000


def whole_id(typed: str, newest: Callable[[], Iterable[Any]]) -> str:
    """Returns the whole id; what can be no part of a UUID, as it is.

    `newest`: asks for the newest things. Raises a Problem if several of them begin so, or none does.
    """
    if not SHORT.fullmatch(typed):
        return typed
    found = [each.id for each in newest()]
    if typed in found:
        return typed
    begun = [each for each in found if each.startswith(typed)]
    if len(begun) > 1:
        raise Problem(f"several begin with {typed}: {', '.join(begun[:3])}", "", "give more of it", USAGE)
    if not begun:
        told = f"of the newest {MOST:,} none begins with {typed}"
        raise Problem(told, "", "give the whole id, which -o wide shows", NOT_FOUND)
    return str(begun[0])


def whole_ids(typed: Sequence[str], newest: Callable[[], Iterable[Any]]) -> tuple[str, ...]:
    """Returns the whole ids of several, for which the newest things are asked for once at most."""
    known: list[Any] = []

    def once() -> Iterable[Any]:
        if not known:
            known.extend(newest())
        return known

    return tuple(whole_id(each, once) for each in typed)
