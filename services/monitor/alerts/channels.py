"""The channels by which people are told, from a file that is read again when it changes.

The file is TOML, one table for each channel:

    [[channel]]
    name = "ops"
    url = "slack://TokenA/TokenB/TokenC/#ops"
    least_severity = "WARNING"
    labels = { team = "rvt" }

`url` is an address as Apprise has them. `least_severity` (INFO, WARNING, CRITICAL; INFO if unset) and
`labels` choose the alerts that the channel is told of.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from stat import S_ISREG
from typing import Any

import structlog

from services.kernel.errors import FailedPrecondition
from services.monitor.alerts.alert import Alert
from services.monitor.alerts.rule import ID, MOST_ID, Severity
from services.monitor.alerts.silence import has_labels

log = structlog.get_logger(__name__)

MOST_CHANNELS = 100
# A hundred channels take a tenth of it. A larger file is another one, and would hold up the monitor.
MOST_BYTES = 1 << 20
KEYS = {"name", "url", "least_severity", "labels"}
EXAMPLE = '[[channel]] name = "ops", url = "slack://TokenA/TokenB/TokenC/#ops"'


class ChannelsFault(ValueError):
    """What is wrong with the file. It quotes no address: they have passwords."""


@dataclass(frozen=True)
class Channel:
    """`url` has passwords: it is not in the repr."""

    name: str
    url: str = field(repr=False)
    least_severity: Severity = Severity.INFO
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """What stands before the "://" of its address."""
        return self.url.partition("://")[0].lower()

    def is_told(self, alert: Alert) -> bool:
        return alert.severity.rank >= self.least_severity.rank and has_labels(alert.labels, self.labels)


def channels_in(text: str) -> Sequence[Channel]:
    """Reads the text of the file. Raises `ChannelsFault`."""
    try:
        told = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        # The message tells a place, and quotes at most a character.
        raise ChannelsFault(f"is no TOML: {error}") from None
    except (RecursionError, ValueError):
        # Hundreds of brackets in each other, a number of thousands of digits.
        raise ChannelsFault("is no TOML that can be read") from None
    tables = told.pop("channel", [])
    if told:
        raise ChannelsFault(
            f"has {sorted(told)[0]!r}, only tables [[channel]] are known; for example: {EXAMPLE}"
        )
    if not isinstance(tables, list) or len(tables) > MOST_CHANNELS:
        raise ChannelsFault(f"must have at most {MOST_CHANNELS} tables [[channel]]; for example: {EXAMPLE}")
    channels = [_channel(table, place) for place, table in enumerate(tables, 1)]
    names = [channel.name for channel in channels]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ChannelsFault(f"has two channels with the name {twice!r}; give each its own")
    return channels


def _channel(table: Any, place: int) -> Channel:
    where = f"channel {place}"
    if not isinstance(table, dict):
        raise ChannelsFault(f"{where} is no table; for example: {EXAMPLE}")
    name, url = table.get("name"), table.get("url")
    if not isinstance(name, str) or not ID.fullmatch(name) or len(name) > MOST_ID:
        raise ChannelsFault(
            f"{where}: name must be lower-case letters, digits and hyphens; for example: ops-mail"
        )
    where = f"channel {name!r}"
    unknown = sorted(set(table) - KEYS)
    if unknown:
        raise ChannelsFault(f"{where} has {unknown[0]!r}; known are {', '.join(sorted(KEYS))}")
    if not isinstance(url, str) or not url.partition("://")[2]:
        raise ChannelsFault(
            f"{where}: url must be an address of Apprise; for example: mailtos://user:password@mail.org"
        )
    severity = table.get("least_severity", "INFO")
    if severity not in list(Severity):
        raise ChannelsFault(
            f"{where}: least_severity must be one of {', '.join(Severity)}; for example: WARNING"
        )
    labels = table.get("labels", {})
    if not isinstance(labels, dict) or not all(isinstance(value, str) for value in labels.values()):
        raise ChannelsFault(f'{where}: labels must be a table of texts; for example: {{ team = "rvt" }}')
    return Channel(name, url, Severity(severity), labels)


def _text(path: Path, stat: os.stat_result) -> str:
    """Returns the text of the file. Raises `ChannelsFault`, OSError, UnicodeDecodeError."""
    if not S_ISREG(stat.st_mode):
        # A named pipe would be waited for, and a device may have no end.
        raise ChannelsFault("is no plain file")
    if stat.st_size > MOST_BYTES:
        raise ChannelsFault(f"has {stat.st_size} bytes, at most {MOST_BYTES} are allowed")
    return path.read_text(encoding="utf-8")


class Channels:
    """The channels of the file as it is now. While the file has a fault, those before it are kept."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._seen: tuple[int, int, int] | None = None
        self._known: Sequence[Channel] = ()
        # What is wrong with the file; empty: nothing.
        self.fault = ""

    def all(self) -> Sequence[Channel]:
        """Returns the channels, by name. It reads the file if it was changed; a missing file has none."""
        if self._path is None:
            return ()
        try:
            stat = self._path.stat()
            seen = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
            if seen != self._seen:
                channels = channels_in(_text(self._path, stat))
                self._seen = seen
                self._take(sorted(channels, key=lambda channel: channel.name), "")
        except FileNotFoundError:
            self._seen = None
            self._take([], "")
        except (OSError, UnicodeDecodeError) as error:
            # It is tried again at each look: rights that are given back do not change the time of the file.
            self._seen = None
            self._take(self._known, f"can't be read: {type(error).__name__}")
        except ChannelsFault as fault:
            self._seen = seen
            self._take(self._known, str(fault))
        return self._known

    def sound(self) -> Sequence[Channel]:
        """Returns the channels. Raises `FailedPrecondition` if the file has a fault."""
        channels = self.all()
        if self.fault:
            text = f"{self._path} {self.fault}; the channels that were read before it are used"
            raise FailedPrecondition("ALERT_CHANNELS_UNREADABLE", text)
        return channels

    def _take(self, channels: Sequence[Channel], fault: str) -> None:
        if (channels, fault) != (self._known, self.fault):
            say = log.warning if fault else log.info
            say("alerts.channels_read", channels=[each.name for each in channels], fault=fault)
        self._known, self.fault = channels, fault
