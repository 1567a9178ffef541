"""Signed checkpoints: the log's size and root as a note that anyone can verify with the public key.

Formats: https://c2sp.org/tlog-checkpoint and https://c2sp.org/signed-note, with Ed25519.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

ED25519_NOTE = b"\x01"


@dataclass(frozen=True)
class Checkpoint:
    """The content of a note: the log's origin, its size, and its root (32 bytes)."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


class NoteInvalid(Exception):
    """The text is not a valid note, or it is not signed by the expected key."""


class NoteSigner:
    """Signs and verifies checkpoints under a key name."""

    def __init__(self, origin: str, key: Ed25519PrivateKey) -> None:
        self.origin = origin
        self._key = key

    @classmethod
    def load(cls, origin: str, path: Path) -> NoteSigner:
        """Loads the key from a PEM file (PKCS #8). Raises SystemExit if it is not an Ed25519 key."""
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
        if not isinstance(key, Ed25519PrivateKey):
            raise SystemExit(f"CELERIAC_AUDIT_KEY: {path} holds no Ed25519 key")
        return cls(origin, key)

    def sign(self, size: int, root: bytes) -> str:
        """Returns the signed note of a checkpoint."""
        body = Checkpoint(self.origin, size, root).text()
        signature = key_id(self.origin, self._key.public_key()) + self._key.sign(body.encode())
        return f"{body}\n— {self.origin} {base64.b64encode(signature).decode()}\n"

    def verify(self, note: str) -> Checkpoint:
        return verify_note(note, self.origin, self._key.public_key())


def key_id(name: str, key: Ed25519PublicKey) -> bytes:
    """Returns the four bytes that identify the key in the signature line of a note."""
    return hashlib.sha256(name.encode() + b"\n" + ED25519_NOTE + key.public_bytes_raw()).digest()[:4]


def verify_note(note: str, origin: str, key: Ed25519PublicKey) -> Checkpoint:
    """Returns the checkpoint in the note. Raises `NoteInvalid`, with the reason, unless the key signed it."""
    body, separator, signatures = note.partition("\n\n")
    body += "\n"
    try:
        stated_origin, size, root = body.splitlines()
        checkpoint = Checkpoint(stated_origin, int(size), base64.b64decode(root, validate=True))
        if not separator:
            raise NoteInvalid("the note is malformed: it has no signature")
        if stated_origin != origin:
            raise NoteInvalid(f"the note's origin is {stated_origin[:100]!r}, not {origin!r}")
        line = next(line for line in signatures.splitlines() if line.startswith(f"— {origin} "))
        signature = base64.b64decode(line.rpartition(" ")[2], validate=True)
        if signature[:4] != key_id(origin, key):
            raise NoteInvalid("the note is signed by another key")
        key.verify(signature[4:], body.encode())
    except (ValueError, StopIteration) as error:
        raise NoteInvalid("the note is malformed") from error
    except InvalidSignature as error:
        raise NoteInvalid("the note's signature is not the key's") from error
    return checkpoint
