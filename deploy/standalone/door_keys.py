"""The door's keys: the one that signs its tokens (its public half is in the key set), and those that seal."""

from __future__ import annotations

import json
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from deploy.standalone.certificates import write_private
from services.door.signing import KEY_PREFIX, public_jwk
from services.kernel.sealing import add_key


def signing_key(state: Path) -> Path:
    return state / "keys" / "door-es256.pem"


def sealing_keys(state: Path) -> Path:
    return state / "keys" / "door-keys.json"


def ensure_door_keys(state: Path) -> None:
    """Makes the keys that are not there, and has the key set hold the door's public key, and no earlier one.

    The local issuer's key must be there. To sign out everybody, remove the signing key and start anew.
    """
    path, key_set = signing_key(state), state / "jwks.json"
    if not path.exists():
        key = ec.generate_private_key(ec.SECP256R1())
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        write_private(path, pem)
    if not sealing_keys(state).exists():
        add_key(sealing_keys(state))
    found = json.loads(key_set.read_text())["keys"]
    others = [key for key in found if not key["kid"].startswith(KEY_PREFIX)]
    wanted = [*others, public_jwk(path)]
    if wanted != found:
        write_private(key_set, json.dumps({"keys": wanted}, indent=2).encode())
