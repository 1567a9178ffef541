"""The public keys that tokens are checked with: a JWKS file (RFC 7517), read again when it changes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TypeAlias

import jwt
import structlog

from services.kernel.errors import Unavailable
from services.kernel.logged_errors import Loggable, for_log

log = structlog.get_logger(__name__)

# A file's time of change, size and inode. If they differ from the last look, the content may differ.
Stamp: TypeAlias = tuple[int, int, int] | None


class NotAKeySet(Loggable):
    """The file is not a key set that can be used. The text quotes nothing of the file."""


class TokenKeys:
    """The keys of the file by their ids. While the file can't be read, the keys read last stay valid.

    So a withdrawn key is accepted until a complete file without it has been read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._looked_at: Stamp = None
        self._fault = ""
        self._keys: dict[str, jwt.PyJWK] | None = None

    def find(self, key_id: str) -> jwt.PyJWK | None:
        """Returns the key of that id, None if there is none; raises `Unavailable` if no file was read yet."""
        self._read_anew()
        if self._keys is None:
            raise Unavailable("the keys that tokens are checked with (CELERIAC_JWKS)")
        return self._keys.get(key_id)

    def _read_anew(self) -> None:
        """Reads the file if it has changed since the last look. A fault is logged once, not at each call."""
        fault = ""
        try:
            found = self._path.stat()
            stamp: Stamp = (found.st_mtime_ns, found.st_size, found.st_ino)
            if stamp == self._looked_at:
                return
            self._looked_at = stamp
            self._keys = _keys_in(self._path)
        except OSError as error:
            self._looked_at, fault = None, for_log(error)
        except (ValueError, NotAKeySet) as error:
            fault = for_log(error)
        if fault and fault != self._fault:
            file, kept = str(self._path), sorted(self._keys or ())
            log.error("tokens.keys_not_read", file=file, fault=fault, going_on_with=kept)
        elif self._fault and not fault:
            log.info("tokens.keys_read", file=str(self._path), keys=sorted(self._keys or ()))
        self._fault = fault


def _keys_in(path: Path) -> dict[str, jwt.PyJWK]:
    """Returns the usable keys by id; raises `NotAKeySet`. A set without keys is valid: all were withdrawn."""
    content = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict) or not isinstance(content.get("keys"), list):
        raise NotAKeySet('is not a key set, {"keys": [...]}')
    if not content["keys"]:
        return {}
    try:
        key_set = jwt.PyJWKSet.from_dict(content)
    except jwt.PyJWKSetError:
        raise NotAKeySet("has no key that can be used") from None
    keys = {key.key_id: key for key in key_set.keys if key.key_id}
    if not keys:
        raise NotAKeySet("has no key with an id (kid)")
    return keys
