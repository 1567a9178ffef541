"""Tells fast of nearly all texts that they have no secret: a monitor takes in tens of thousands a second.

It says yes too often, and never no where there is a secret: a name, a token or an address has one of the
hints, and the number of a card has 13 digits, or 8 before the place at which it is cut off.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

# Letters become small, and digits, spaces and dashes become 0, so that numbers can be found as a text is.
_SIMPLER = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ123456789 -", b"abcdefghijklmnopqrstuvwxyz00000000000")
_NUMBER = "0" * 13
_NUMBER_CUT = "0" * 8
# Words with one of these letters are searched for together, by that letter; each of the others by itself.
_RARE = frozenset("zqjxkvw/")
# From the rarest to the most frequent, in English texts and in reprs.
_BY_FREQUENCY = "zqjxkvwbygp/fumcdlhrsniota:e"


class QuickLook:
    """`hints`: texts, one of which is in or before each secret. Of several words the longest counts."""

    def __init__(self, hints: Iterable[str]) -> None:
        words = {max(hint.split("_"), key=len).lower().encode().decode("latin-1") for hint in hints}
        needed = {word for word in words if not any(other != word and other in word for other in words)}
        rare = sorted(word for word in needed if _RARE.intersection(word))
        self._hint = re.compile("|".join(map(_pattern_of, rare))).search
        self._others = sorted(needed.difference(rare))

    def may_have_secrets(self, text: str) -> bool:
        # By way of bytes, whose translation is many times as fast as that of a text.
        simpler = text.encode("utf-8", "surrogatepass").translate(_SIMPLER).decode("latin-1")
        if self._hint(simpler) is not None or _NUMBER in simpler:
            return True
        for word in self._others:
            if word in simpler:
                return True
        return ("..." in text or "…" in text) and _NUMBER_CUT in simpler


def _pattern_of(word: str) -> str:
    """Returns a pattern of the word that begins with its rarest letter, which is searched for the fastest."""
    rarest = min(range(len(word)), key=lambda place: (_BY_FREQUENCY.find(word[place]), place))
    before = f"(?<={re.escape(word[: rarest + 1])})" if rarest else ""
    return re.escape(word[rarest]) + before + re.escape(word[rarest + 1 :])
