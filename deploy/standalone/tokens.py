"""The local issuer: signs short-lived tokens with a key that never leaves the state folder.

For one machine and for tests; elsewhere an OpenID Connect provider issues tokens.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping
from pathlib import Path

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from deploy.standalone.certificates import write_private

ISSUER = "https://celeriac.local"
AUDIENCE = "celeriac"
LIFE_SECONDS = 3600
ROLES = ("viewer", "writer", "admin", "super_admin")


class LocalIssuer:
    """Signs tokens (JWT, ES256) with the key of a state folder; the public key is in its `jwks.json`."""

    def __init__(self, state: Path) -> None:
        self.key_set = state / "jwks.json"
        self._key_path = state / "keys" / "token-es256.pem"

    def has_key(self) -> bool:
        """Whether the signing key and the key set are there."""
        return self._key_path.exists() and self.key_set.exists()

    def ensure_key(self) -> None:
        """Makes the signing key and the key set, unless they are there."""
        if self.has_key():
            return
        key = ec.generate_private_key(ec.SECP256R1())
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        public = jwt.algorithms.ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
        public |= {"kid": uuid.uuid4().hex[:16], "use": "sig", "alg": "ES256"}
        write_private(self._key_path, pem)
        write_private(self.key_set, json.dumps({"keys": [public]}, indent=2).encode())

    def mint(
        self,
        role: str = "admin",
        subject: str = "operator",
        life_seconds: int = LIFE_SECONDS,
        **claims: object,
    ) -> str:
        """Returns a token with the role, one of `ROLES`, valid for `life_seconds`."""
        now = int(time.time())
        payload: Mapping[str, object] = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": subject,
            "iat": now,
            "exp": now + life_seconds,
            "jti": uuid.uuid4().hex,
            "roles": [role],
        }
        key_id = json.loads(self.key_set.read_text())["keys"][0]["kid"]
        return jwt.encode(
            {**payload, **claims}, self._key_path.read_bytes(), algorithm="ES256", headers={"kid": key_id}
        )
