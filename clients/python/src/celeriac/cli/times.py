"""Times as people read and write them."""

from __future__ import annotations

import datetime as dt
import itertools
import os
import re
from pathlib import Path
from typing import Any

import click

# datetime.UTC needs Python 3.11.
UTC = dt.timezone.utc  # noqa: UP017
# A time in a sentence of the system: "2026-11-30 03:30:00Z".
IN_SENTENCES = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)Z")
UNITS = {"w": 604800, "d": 86400, "h": 3600, "m": 60, "s": 1}
PARTS = re.compile(r"(\d+(?:\.\d+)?)([wdhms])")


def duration_of(text: str) -> dt.timedelta | None:
    """Returns the length of "90s", "2h" or "1d12h"; None if it is none."""
    parts = PARTS.findall(text)
    if not parts or PARTS.sub("", text):
        return None
    return dt.timedelta(seconds=sum(float(number) * UNITS[unit] for number, unit in parts))


def short(length: dt.timedelta) -> str:
    """Returns a length in its largest unit and the one below: "3d4h", "2m", "1.5s", "12ms"."""
    seconds = abs(length.total_seconds())
    if seconds < 1:
        return f"{seconds * 1000:.0f}ms"
    if seconds < 10:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    for (name, size), (below, unit) in itertools.pairwise(list(UNITS.items())[1:]):
        if whole >= size:
            rest = whole % size // unit
            return (
                f"{whole // size}{name}{rest}{below}"
                if rest and whole < 10 * size
                else f"{whole // size}{name}"
            )
    return f"{whole}s"


def relative(time: dt.datetime, now: dt.datetime) -> str:
    """Returns "in 5m" or "3h20m ago"."""
    apart = time - now
    if abs(apart) < dt.timedelta(seconds=1):
        return "now"
    return f"in {short(apart)}" if apart > dt.timedelta() else f"{short(apart)} ago"


def rfc3339(time: dt.datetime) -> str:
    """Returns the time in UTC, as programs read it: "2026-12-01T03:30:00Z"."""
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")


def clock(time: dt.datetime, zone: dt.tzinfo, now: dt.datetime) -> str:
    """Returns the time of day; with the date if it is not today's, with the year if it is another one."""
    there, today = time.astimezone(zone), now.astimezone(zone)
    if there.date() == today.date():
        return f"{there:%H:%M:%S}" if there.second else f"{there:%H:%M}"
    return f"{there:%m-%d %H:%M}" if there.year == today.year else f"{there:%Y-%m-%d %H:%M}"


def in_zone(text: str, zone: dt.tzinfo) -> str:
    """Returns a sentence with its times, which are in UTC, in the zone, which is named."""

    def there(found: re.Match[str]) -> str:
        time = dt.datetime.fromisoformat(f"{found[1]}+00:00").astimezone(zone)
        return f"{time:%Y-%m-%d %H:%M:%S} {zone_name(zone)}"

    return IN_SENTENCES.sub(there, text)


def zone_of(name: str | None) -> dt.tzinfo:
    """Returns the zone of this name, or the machine's. Raises a usage error for an unknown name."""
    from zoneinfo import ZoneInfo

    wanted = name or os.environ.get("TZ", "").lstrip(":") or _zone_of_the_machine()
    try:
        return ZoneInfo(wanted)
    except (KeyError, ValueError, OSError):
        if name:
            raise click.BadParameter(
                f"{name!r} is no zone; for example Asia/Taipei", param_hint="--zone"
            ) from None
    return dt.datetime.now().astimezone().tzinfo or UTC


def _zone_of_the_machine() -> str:
    # "/usr/share/zoneinfo/Asia/Taipei"
    found = os.path.realpath("/etc/localtime").partition("zoneinfo/")[2]
    return found if found and found != "Etc/UTC" and Path("/etc/localtime").exists() else "UTC"


def zone_name(zone: dt.tzinfo) -> str:
    return getattr(zone, "key", None) or str(zone)


class _Duration(click.ParamType):  # type: ignore[type-arg] # it has none before click 8.2
    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dt.timedelta:
        found = value if isinstance(value, dt.timedelta) else duration_of(value)
        if found is None or not found:
            self.fail(f"{value!r} is no length of time; for example 90s, 2h or 1d12h", param, ctx)
        return found


class _Time(click.ParamType):  # type: ignore[type-arg]
    """A length ("2h": so long ago), or a time in ISO 8601, in the session's zone if it names none."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if isinstance(value, dt.datetime):
            return value
        # "in 2h" is in the future.
        ahead = value.startswith("in ")
        length = duration_of(value.removeprefix("in "))
        if length is not None:
            now = dt.datetime.now(UTC)
            return now + length if ahead else now - length
        try:
            found = dt.datetime.fromisoformat(value.replace("Z", "+00:00"))
        except ValueError:
            self.fail(
                f"{value!r} is no time; for example 2h (ago), 2026-12-01 or 2026-12-01T03:30", param, ctx
            )
        from celeriac.cli.session import session

        return found if found.tzinfo else found.replace(tzinfo=session().zone)


DURATION = _Duration()
TIME = _Time()
