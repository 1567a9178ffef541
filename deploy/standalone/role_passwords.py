"""The passwords of the services' roles on a PostgreSQL that is not this system's own.

They are made at the first start, and kept in `keys/database-passwords.json` in the state folder. The server
gets only what it needs to check them: its log may show the statements that it is sent.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from pathlib import Path

from deploy.standalone.certificates import write_private
from services import STORING

PASSWORD_BYTES, SALT_BYTES, ITERATIONS = 32, 16, 4096


def ensure_passwords(state: Path) -> None:
    """Makes those that are not there: all at a first start, that of a new service after an upgrade."""
    kept = passwords(state) if _file(state).exists() else {}
    made = {
        role: secrets.token_urlsafe(PASSWORD_BYTES)
        for role in (f"celeriac_{service}" for service in STORING)
        if role not in kept
    }
    if made:
        write_private(_file(state), json.dumps({**kept, **made}).encode())


def passwords(state: Path) -> dict[str, str]:
    """Returns the password of each role."""
    found: dict[str, str] = json.loads(_file(state).read_text())
    return found


def verifier(password: str, salt: bytes | None = None) -> str:
    """Returns what PostgreSQL stores of a password: SCRAM-SHA-256 of RFC 5802 and 7677.

    The form is PostgreSQL's own (manual, "pg_authid"): SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey. The
    password must be ASCII, as ours are: others would have to be normalised first.
    """
    salt = salt if salt is not None else secrets.token_bytes(SALT_BYTES)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode("ascii"), salt, ITERATIONS)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    shown, first, second = (base64.b64encode(part).decode() for part in (salt, stored, server))
    return f"SCRAM-SHA-256${ITERATIONS}:{shown}${first}:{second}"


def _file(state: Path) -> Path:
    return state / "keys" / "database-passwords.json"
