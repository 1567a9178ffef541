"""Replaces everything in a line of a log that looks like a credential. Each line passes through here last.

Our own code logs none (docs/decisions/logs-without-values.md). Libraries and Envoy do at level "debug": Envoy
prints the headers of each request, and can't leave one out (envoyproxy/envoy#9652).
"""

from __future__ import annotations

import re

MASK = "[token]"
# "eyJ" and ten more characters: shorter words are no header of a JWT.
JWT_HEAD = 13

# The time for a line must grow with its length only, since a caller chooses what is in a header. So nothing
# here may begin at each of many characters and then scan to the end: a run is entered at its first one.
#
# A quote in a Python repr, in Envoy's own notation, in JSON, or in JSON inside JSON.
_QUOTES = r"""(?<!\\)\\*["']"""
# Headers whose whole value is a credential.
_HEADERS = r"(?:proxy-)?authorization|(?:set-)?cookie"
_TOKENS = [
    # 'authorization', 'Bearer …' · "authorization": "Bearer …" · authorization: Bearer … · Envoy's HTTP/1
    # parser at "trace": key=authorization value=Bearer …
    re.compile(
        rf"((?:{_QUOTES}(?:{_HEADERS}){_QUOTES}\s*[,:=]\s*b?{_QUOTES})"
        rf"|(?:\b(?:{_HEADERS})(?:\s*:\s*|\s*=\s*|\s+value=)(?:{_QUOTES})?))"
        r"""[^"'\\]+""",
        re.IGNORECASE,
    ),
    # In a query or a form.
    re.compile(r"""(\b(?:(?:access|id|refresh)_token|token)(?:=|%3D))[^&\s"'\\]+""", re.IGNORECASE),
    # Anywhere else, after its scheme; shorter words are prose ("a bearer token is missing").
    re.compile(r"(\bbearer(?:\s|\+|%20)+)[\w.~+/=-]{16,}", re.IGNORECASE),
    # Envoy's token filter logs at "debug" what it is about to check, whether it is a JWT or not.
    re.compile(r"(\bParse Jwt\s+)\S+"),
]
# Words joined by dots, as the parts of a JWT are.
_DOTTED = re.compile(r"(?<![\w-])[\w-]+\.[\w.-]+")
# An address with a scheme, and what follows the scheme up to a password.
_ADDRESS = re.compile(r"""://[^\s"']+""")
_USER = re.compile(r"""://[^:@/]*:""")
# Other credentials: a text that a line must contain before the pattern is tried, the pattern, a replacement.
_OTHERS = (
    (
        "PRIVATE KEY",
        re.compile(
            r"-----BEGIN [A-Z ]*PRIVATE KEY-----"
            r"[A-Za-z0-9+/=\\\s]*"  # In JSON a line break is a backslash and an n.
            r"(?:-----END [A-Z ]*PRIVATE KEY-----)?"
        ),
        "[private key]",
    ),
    ("password=", re.compile(r"(password=)(?!\[)[^\s&;,\"']+"), r"\1[password]"),
)


def without_credentials(text: str) -> str:
    """Returns the text with each credential replaced by "[token]", "[private key]" or "[password]"."""
    for pattern in _TOKENS:
        text = pattern.sub(rf"\g<1>{MASK}", text)
    if "eyJ" in text:
        text = without_jwts(text)
    if "://" in text:
        text = _ADDRESS.sub(lambda found: _without_password(found[0]), text)
    for hint, pattern, replacement in _OTHERS:
        if hint in text:
            text = pattern.sub(replacement, text)
    return text


def without_jwts(text: str, mask: str = MASK) -> str:
    """Returns the text with each JWT replaced, also one that is cut off after its first part."""
    return _DOTTED.sub(lambda found: _without_jwt(found[0], mask), text)


def _without_jwt(dotted: str, mask: str) -> str:
    """Masks a JWT: a JSON object in base64url ("eyJ…"), then the other parts."""
    *parts, _ = dotted.split(".")
    start = 0
    for part in parts:
        found = part.find("eyJ")
        if 0 <= found <= len(part) - JWT_HEAD:
            return dotted[: start + found] + mask
        start += len(part) + 1
    return dotted


def _without_password(address: str) -> str:
    """Masks a password, which ends at the last "@" before the host, as URL parsers have it."""
    end = address.rfind("@")
    for user in _USER.finditer(address, 0, max(end, 0)):
        if user.end() < end:
            return f"{address[: user.end()]}[password]{address[end:]}"
    return address
