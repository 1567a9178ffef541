"""Times in log lines, and times that an operator types: SINCE=10m, UNTIL=21:30.

A time is a text in UTC, "2026-11-30T21:08:41.971268": such texts sort as the times do.
"""

from __future__ import annotations

import datetime as dt
import functools
import re

EXAMPLES = "10m (or 2h, 1h30m, 1d) ago, a time of day as 21:30, or a time as 2026-11-30T21:30:00Z"
# Of ours and the gateway's, in JSON. In a text that a caller sent, the quotes have a backslash before them.
OURS = re.compile(rb'"timestamp": ?"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[.\d]*)Z"')
# Of gRPC's C++ code: seconds since 1970 while it starts, later the local time without a year.
GRPC_BEFORE = re.compile(rb"[IWEF]0000 00:00:(\d{9,11})\.(\d{6}) ")
GRPC = re.compile(rb"[IWEF](\d{4} \d\d:\d\d:\d\d)\.(\d{6}) ")
# Of PostgreSQL, Envoy and Valkey: how each writes a time at the beginning of a line, by its local clock.
POSTGRES = re.compile(rb"(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)\.(\d{3}) (\w+)")
ENVOY = re.compile(rb"\[(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)\.(\d{3})\]\[")
VALKEY = re.compile(rb"\d+:[A-Z] (\d\d [A-Z][a-z]{2} \d{4}) (\d\d:\d\d:\d\d)\.(\d{3}) ")
DATES = {ENVOY: "%Y-%m-%d", POSTGRES: "%Y-%m-%d", VALKEY: "%d %b %Y"}
AGE = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")
TIME_OF_DAY = re.compile(r"\d?\d:\d\d(:\d\d)?")


class NoTime(ValueError):
    """What is wrong with a time that was typed. The text continues a sentence that begins with the value."""


def time_in(line: bytes) -> str:
    """Returns the time of a log line; "" if it has none, as the second line of a message of two has."""
    if line.startswith(b"{"):
        found = OURS.search(line)
        return found[1].decode() if found else ""
    for form, date in DATES.items():
        if found := form.match(line):
            zone = found[4].decode() if form is POSTGRES else ""
            return _second(found[1].decode(), found[2].decode(), date, zone) + f".{found[3].decode()}"
    return _time_of_grpc(line)


def _time_of_grpc(line: bytes) -> str:
    if found := GRPC_BEFORE.match(line):
        return _text(dt.datetime.fromtimestamp(int(found[1]), dt.UTC))[:19] + f".{found[2].decode()}"
    if found := GRPC.match(line):
        try:
            return without_year(found[1].decode(), dt.datetime.now().astimezone()) + f".{found[2].decode()}"
        except ValueError:
            return ""
    return ""


def without_year(text: str, now: dt.datetime) -> str:
    """Returns the newest time that "1201 01:20:15" can mean. Raises `ValueError` if it is none."""
    for year in (now.year, now.year - 1):
        found = dt.datetime.strptime(f"{year}{text}", "%Y%m%d %H:%M:%S").astimezone()
        if found <= now + dt.timedelta(days=1):
            break
    return _text(found)[:19]


@functools.lru_cache(maxsize=1000)
def _second(day: str, time: str, date: str, zone: str) -> str:
    if zone in ("UTC", "GMT"):
        return f"{day}T{time}"
    return _text(dt.datetime.strptime(f"{day} {time}", f"{date} %H:%M:%S").astimezone())[:19]


def typed(text: str, now: dt.datetime) -> str:
    """Returns the time that an operator means. Raises `NoTime`.

    A time without a zone is of this machine's own; a time of day is that of today, or of yesterday if today's
    is yet to come.
    """
    age = AGE.fullmatch(text)
    if text and age is not None:
        days, hours, minutes, seconds = (int(part or 0) for part in age.groups())
        try:
            return _text(now - dt.timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds))
        except OverflowError:
            raise NoTime("is longer ago than the calendar reaches") from None
    try:
        if TIME_OF_DAY.fullmatch(text):
            return _text(_latest(dt.time.fromisoformat(text.rjust(5 if len(text) < 6 else 8, "0")), now))
        return _text(dt.datetime.fromisoformat(text).astimezone())
    except (ValueError, OverflowError):
        raise NoTime("is no time") from None


def _latest(time: dt.time, now: dt.datetime) -> dt.datetime:
    local = now.astimezone()
    today = dt.datetime.combine(local.date(), time).astimezone()
    if today <= now:
        return today
    return dt.datetime.combine(local.date() - dt.timedelta(days=1), time).astimezone()


def _text(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")
