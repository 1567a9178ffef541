"""Replaces everything in a line of a log that looks like a credential. Each line passes through here last.

Our own code logs none (docs/decisions/logs-without-values.md). Libraries and Envoy do at level "debug": Envoy
prints the headers of each request, and can't leave one out (envoyproxy/envoy#9652).
"""

from __future__ import annotations

import re

MASK = "[token]"

# A quote in a Python repr, in Envoy's own notation, in JSON, or in JSON inside JSON.
# Bounded, and begun only once: a pattern that may start at each of many backslashes takes quadratic time.
_QUOTES = r"""(?<!\\)\\{0,8}["']"""
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
    # A JWT anywhere, also one that is cut off: a JSON object in base64url, then the other parts.
    re.compile(r"()(?:(?<![\w-])|(?<=%20)|(?<=%3D)|(?<=%22))eyJ[\w-]{10,}\.[\w.-]+"),
]


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
    # As URL parsers do, up to the last "@" before the host.
    ("://", re.compile(r"(://[^\s:@/\"']{0,256}:)[^\s\"'/]{1,256}(?=@)"), r"\1[password]"),
    ("password=", re.compile(r"(password=)(?!\[)[^\s&;,\"']+"), r"\1[password]"),
)


def without_credentials(text: str) -> str:
    """Returns the text with each credential replaced by "[token]", "[private key]" or "[password]"."""
    for pattern in _TOKENS:
        text = pattern.sub(rf"\g<1>{MASK}", text)
    for hint, pattern, replacement in _OTHERS:
        if hint in text:
            text = pattern.sub(replacement, text)
    return text
