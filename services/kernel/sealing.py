"""Encryption of stored sensitive values: envelope encryption with keys from a file.

The scheduler seals secrets of the live configuration so, the door the second factors of people.

Each value is encrypted with a data key of its own (AES-256-GCM, NIST SP 800-38D), and that key is wrapped by
a key of the file. The newest key of the file wraps; any of them unwraps. Both ciphertexts are bound to their
configuration key and revision: one that was moved to another key or revision can't be decrypted.

The file is JSON, `{"keys": [{"id": "…", "key": "<base64 of 32 bytes>"}]}`, oldest key first. It is read again
when it changes.
"""

from __future__ import annotations

import base64
import datetime as dt
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.kernel.errors import FailedPrecondition
from services.kernel.logged_errors import Loggable

KEY_BYTES, NONCE_BYTES = 32, 12
ADVICE = (
    "name a key file by CELERIAC_CONFIG_KEYS, and make its first key by: python -m services.scheduler new-key"
)
# As JSON: `key`, the id of the wrapping key; `wrapped`, the data key, and `value`, both encrypted, in base64.
Sealed: TypeAlias = Mapping[str, str]


class WrongKeyFile(Loggable):
    """The key file can't be used. The message says why, and contains nothing of the file."""


class KeyRing:
    """The keys of a file; none until the file exists. All methods may raise `WrongKeyFile`.

    `advice` says how to come by a file, where there is none.
    """

    def __init__(self, path: Path | None, advice: str = ADVICE) -> None:
        self._path = path
        self._advice = advice
        self._read_at: int | None = None
        self._keys: dict[str, bytes] = {}
        self._read()

    @property
    def newest(self) -> str:
        """The id of the key that wraps. Raises `FailedPrecondition` when there is none."""
        self._read()
        if not self._keys:
            raise FailedPrecondition(
                "ENCRYPTION_KEYS_MISSING",
                f"there is no key to encrypt sensitive values with: {self._advice}",
            )
        return list(self._keys)[-1]

    def seal(self, text: str, belongs_to: str) -> Sealed:
        """Encrypts the text; `open` needs the same `belongs_to`. Raises `FailedPrecondition` without keys."""
        wrapping, data_key = self.newest, AESGCM.generate_key(KEY_BYTES * 8)
        return {
            "key": wrapping,
            "wrapped": _encrypt(self._keys[wrapping], data_key, _wrap_of(wrapping, belongs_to)),
            "value": _encrypt(data_key, text.encode(), belongs_to),
        }

    def open(self, sealed: Sealed, belongs_to: str) -> str:
        """Decrypts a text. Raises `FailedPrecondition` when its key is missing or it was altered."""
        return _decrypt(self._unwrapped(sealed, belongs_to), sealed["value"], belongs_to).decode()

    def rewrap(self, sealed: Sealed, belongs_to: str) -> Sealed:
        """Returns the same with its data key wrapped by the newest key. The value itself is not decrypted."""
        wrapping = self.newest
        data_key = self._unwrapped(sealed, belongs_to)
        wrapped = _encrypt(self._keys[wrapping], data_key, _wrap_of(wrapping, belongs_to))
        return {**sealed, "key": wrapping, "wrapped": wrapped}

    def _unwrapped(self, sealed: Sealed, belongs_to: str) -> bytes:
        self._read()
        key = self._keys.get(sealed["key"])
        if key is None:
            raise FailedPrecondition(
                "ENCRYPTION_KEY_MISSING", f"the key file has no key {sealed['key']!r}, which this value needs"
            )
        return _decrypt(key, sealed["wrapped"], _wrap_of(sealed["key"], belongs_to))

    def _read(self) -> None:
        if self._path is None or not self._path.exists():
            return
        written_at = self._path.stat().st_mtime_ns
        if written_at != self._read_at:
            self._keys = _keys_in(self._path)
            self._read_at = written_at


def add_key(path: Path) -> str:
    """Adds a new key to the file, as the newest, and returns its id. The older keys are kept.

    The file is replaced as a whole, and only its owner may read it. Raises `WrongKeyFile`.
    """
    kept = orjson.loads(path.read_bytes())["keys"] if path.exists() and _keys_in(path) else []
    identity = f"{dt.datetime.now(dt.UTC):%Y%m%d}-{os.urandom(4).hex()}"
    made = {"id": identity, "key": base64.b64encode(os.urandom(KEY_BYTES)).decode()}
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(path.name + ".new")
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(orjson.dumps({"keys": [*kept, made]}, option=orjson.OPT_INDENT_2))
    scratch.replace(path)
    return identity


def _keys_in(path: Path) -> dict[str, bytes]:
    try:
        content: Any = orjson.loads(path.read_bytes())
    except (OSError, orjson.JSONDecodeError) as error:
        raise WrongKeyFile(f"{path} is not a key file ({type(error).__name__})") from None
    listed = content.get("keys") if isinstance(content, dict) else None
    if not isinstance(listed, list):
        raise WrongKeyFile(f'{path} is not a key file (it has no list of "keys")')
    keys = dict(
        _key_in(one, f"{path} is not a key file (key {number}") for number, one in enumerate(listed, 1)
    )
    if not keys or any(len(key) != KEY_BYTES for key in keys.values()):
        raise WrongKeyFile(f"{path} has no key, or one that is not {KEY_BYTES} bytes long")
    return keys


def _key_in(one: Any, fault: str) -> tuple[str, bytes]:
    """Id and key. `fault` begins what is told if it is none."""
    identity, key = (one.get("id"), one.get("key")) if isinstance(one, dict) else (None, None)
    if not isinstance(identity, str | int) or not isinstance(key, str):
        raise WrongKeyFile(f'{fault} has no "id" or no "key")')
    try:
        return str(identity), base64.b64decode(key, validate=True)
    except ValueError:
        raise WrongKeyFile(f"{fault} is not base64)") from None


def _wrap_of(wrapping: str, belongs_to: str) -> str:
    return f"key {wrapping} for {belongs_to}"


def _encrypt(key: bytes, content: bytes, belongs_to: str) -> str:
    nonce = os.urandom(NONCE_BYTES)
    return base64.b64encode(nonce + AESGCM(key).encrypt(nonce, content, belongs_to.encode())).decode()


def _decrypt(key: bytes, encrypted: str, belongs_to: str) -> bytes:
    content = base64.b64decode(encrypted)
    try:
        return AESGCM(key).decrypt(content[:NONCE_BYTES], content[NONCE_BYTES:], belongs_to.encode())
    except InvalidTag:
        raise FailedPrecondition(
            "SEALED_VALUE_ALTERED", "the encrypted value is not the one that was written for this key"
        ) from None
