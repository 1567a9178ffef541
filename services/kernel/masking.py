"""The last look at each line of a log: what has the shape of a credential is replaced.

Our own code logs none (docs/decisions/logs-without-values.md). Libraries and Envoy do when their level is
raised: Envoy prints each request's headers at "debug", and can't leave one out (envoyproxy/envoy#9652).
"""

from __future__ import annotations

import re

MASK = "[token]"

# A quote as it stands in a Python repr, in Envoy's own notation, in JSON, and in JSON inside JSON.
_QUOTES = r"""\\*["']"""
# Headers whose whole value proves who the caller is.
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
    # Envoy's token filter tells at "debug" what it is about to check, a JWT or not.
    re.compile(r"(\bParse Jwt\s+)\S+"),
    # A JWT anywhere, also one that is cut off: a JSON object in base64url, then the other parts.
    re.compile(r"()eyJ[\w-]{10,}\.[\w.-]+"),
]


# Other credentials: what a line must have before its pattern is tried, and what stands in its place.
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
    ("://", re.compile(r"(://[^\s:@/\"']*:)[^\s\"'@]+(?=@)"), r"\1[password]"),
    ("password=", re.compile(r"(password=)(?!\[)[^\s&;,\"']+"), r"\1[password]"),
)


def without_credentials(text: str) -> str:
    """The text with "[token]", "[private key]" and "[password]" in place of each of these."""
    for pattern in _TOKENS:
        text = pattern.sub(rf"\g<1>{MASK}", text)
    for hint, pattern, replacement in _OTHERS:
        if hint in text:
            text = pattern.sub(replacement, text)
    return text
