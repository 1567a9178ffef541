"""The time zones that settings and schedules may name: those of the IANA database, equal on every machine."""

from __future__ import annotations

from functools import lru_cache
from zoneinfo import available_timezones

# Names in a machine's zone folder that are not zones: the machine's own zone, and a placeholder for none.
NO_ZONES = frozenset({"localtime", "Factory"})


@lru_cache
def known_zones() -> frozenset[str]:
    """Returns the names of the zones. The first call reads through the database's files, about a thousand."""
    return frozenset(available_timezones() - NO_ZONES)
