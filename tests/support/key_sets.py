"""A second key in the key set that services read, so that a test can withdraw it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

from deploy.standalone.tokens import LocalIssuer


class SecondKey:
    """A key of its own beside those of a key set."""

    def __init__(self, key_set: Path, folder: Path) -> None:
        self.issuer = LocalIssuer(folder)
        self.issuer.ensure_key()
        self._key_set = key_set
        self._others = json.loads(key_set.read_text())["keys"]

    def add(self) -> None:
        own = json.loads(self.issuer.key_set.read_text())["keys"]
        self._write([*self._others, *own])

    def withdraw(self) -> None:
        self._write(self._others)

    def _write(self, keys: list[dict[str, str]]) -> None:
        """As docs/gateway.md says: written beside it, then renamed."""
        beside = self._key_set.with_suffix(".new")
        beside.write_text(json.dumps({"keys": keys}))
        beside.replace(self._key_set)


@contextlib.contextmanager
def second_key(key_set: Path, folder: Path) -> Iterator[SecondKey]:
    """Adds a key, which is withdrawn at the end at the latest."""
    key = SecondKey(key_set, folder)
    key.add()
    try:
        yield key
    finally:
        key.withdraw()
