"""The time zones that there are: names of the IANA database that mean the same on every machine."""

from __future__ import annotations

from functools import lru_cache
from zoneinfo import available_timezones

# Where a machine keeps its zones there are these beside them: whatever zone that machine is in, and none.
NO_ZONES = frozenset({"localtime", "Factory"})


@lru_cache
def known_zones() -> frozenset[str]:
    """Walks through the database's files, some thousand, the first time."""
    return frozenset(available_timezones() - NO_ZONES)
