"""`H` in a crontab: a number that follows from the schedule's name, so that many are not due at one moment.

As in Jenkins: `H` is one number of the field's range, `H(0-29)` one of these, `H/15` each 15th from a number
below 15 on. The number is a hash (SHA-256) of the schedule's id and the field's name: the same on every
replica, and for ever.
"""

from __future__ import annotations

import hashlib
import re

# Looked for in a part of a field, in small letters.
SPREAD = re.compile(r"h(?:\((?P<first>\d{1,4})-(?P<last>\d{1,4})\))?(?:/(?P<step>\d{1,4}))?", re.ASCII)
_ANY = re.compile(r"(?:^|[\s,])h(?=[\s,(/]|$)", re.ASCII | re.IGNORECASE)


def is_spread(expression: str) -> bool:
    """Whether the numbers of an expression follow from the schedule's name."""
    return _ANY.search(expression) is not None


def spread_part(match: re.Match[str], name: str, field: str, first: int, last: int) -> str:
    """Returns a part with the numbers of a schedule of that name: "17", or "7-59/15".

    `match`: of SPREAD. `first`, `last`: the field's range, where the part names none. Raises `ValueError`,
    whose text says what is wrong.
    """
    least, most = first, last
    if match["first"] is not None:
        first, last = int(match["first"]), int(match["last"])
        if not least <= first <= last <= most:
            raise ValueError(
                f"has {match[0][:50]!r} as its {field}: from {least} to {most}, the smaller first"
            )
    digest = hashlib.sha256(f"{name}/{field}".encode()).digest()
    number, numbers = int.from_bytes(digest[:8], "big"), last - first + 1
    if match["step"] is None:
        return str(first + number % numbers)
    step = int(match["step"])
    if not 1 <= step <= numbers:
        raise ValueError(f"has {match[0][:50]!r} as its {field}: steps are 1 to {numbers}")
    return f"{first + number % step}-{last}/{step}"
