"""Durations as people write them: "30s", "1h30m", "1.5d". Reading and writing are exact."""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal, localcontext

UNITS = {
    "w": Decimal(7 * 86400),
    "d": Decimal(86400),
    "h": Decimal(3600),
    "m": Decimal(60),
    "s": Decimal(1),
    "ms": Decimal("0.001"),
}
# Units in which a duration is written, besides seconds. Weeks and milliseconds are only read.
WRITTEN = ("d", "h", "m")
# More than the digits of any sum of parts, so that nothing is rounded away.
MOST_DIGITS = 100
PART = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,30})?)(ms|[wdhms])")


def parse_span(text: str) -> Decimal | None:
    """Returns the seconds; None when the text is not a duration."""
    parts = PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return None
    with localcontext(prec=MOST_DIGITS):
        return sum((Decimal(number) * UNITS[unit] for number, unit in parts), Decimal(0))


def format_span(span: dt.timedelta | float) -> str:
    """Writes a duration (a number is in seconds) in the largest units, without zeros: 5400 is "1h30m"."""
    if isinstance(span, dt.timedelta):
        left = Decimal(span // dt.timedelta(microseconds=1)) / 1_000_000
    else:
        left = Decimal(repr(float(span)))
    written = ""
    for unit in WRITTEN:
        count = left // UNITS[unit]
        if count:
            written += f"{count:f}{unit}"
            left -= count * UNITS[unit]
    if left or not written:
        seconds = f"{left:f}"
        written += (seconds.rstrip("0").rstrip(".") if "." in seconds else seconds) + "s"
    return written
