"""Takes bearer tokens out of text that is about to be logged, whoever wrote it and at whatever level.

Our own code logs no token. Libraries and Envoy do when their level is raised: Envoy prints each request's
headers at "debug", and has no way to leave one out (envoyproxy/envoy#9652).
"""

from __future__ import annotations

import re

MASK = "[redacted]"

# A quote as it stands in a Python repr, in Envoy's own notation, in JSON, and in JSON inside JSON.
_QUOTES = r"""\\*["']"""
# Headers whose whole value proves who the caller is.
_HEADERS = r"(?:proxy-)?authorization|(?:set-)?cookie"
_PATTERNS = [
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
    # Envoy's token filter tells at "debug" what it is about to check, a JWT or not.
    re.compile(r"(\bParse Jwt\s+)\S+"),
    # A JWT anywhere, also one that is cut off: a JSON object in base64url, then the other parts.
    re.compile(r"()eyJ[\w-]{10,}\.[\w.-]+"),
]


def without_tokens(text: str) -> str:
    """The text with "[redacted]" in place of each token."""
    for pattern in _PATTERNS:
        text = pattern.sub(rf"\g<1>{MASK}", text)
    return text
