"""Lengths of time as people write them: "30s", "1h30m", "1.5d"; exact both ways."""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal

UNITS = {
    "w": Decimal(7 * 86400),
    "d": Decimal(86400),
    "h": Decimal(3600),
    "m": Decimal(60),
    "s": Decimal(1),
    "ms": Decimal("0.001"),
}
# Units that a length is written in; a week is read only.
WRITTEN = ("d", "h", "m")
PART = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,30})?)(ms|[wdhms])")


def parse_span(text: str) -> Decimal | None:
    """Seconds; None when the text is no length of time."""
    parts = PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return None
    return sum((Decimal(number) * UNITS[unit] for number, unit in parts), Decimal(0))


def format_span(span: dt.timedelta | float) -> str:
    """In the largest units, without what is zero: 5400 is "1h30m"."""
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
