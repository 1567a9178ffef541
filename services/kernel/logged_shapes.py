"""The last look at each line of the log: what has the shape of a credential is replaced.

Nobody is meant to log one (docs/decisions/logs-without-values.md); this holds where somebody does after all.
"""

from __future__ import annotations

import re

PRIVATE_KEY = (
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----"
    r"[A-Za-z0-9+/=\\\s]*"  # In JSON a line break is a backslash and an n.
    r"(?:-----END [A-Z ]*PRIVATE KEY-----)?"
)
# What a line must have before its pattern is tried; the pattern; what stands in its place.
SHAPES = (
    ("eyJ", re.compile(r"eyJ[A-Za-z0-9_-]{8,}\.(?:eyJ[A-Za-z0-9_-]*)?(?:\.[A-Za-z0-9_-]*)?"), "[token]"),
    ("earer ", re.compile(r"(?<=earer )\s*[A-Za-z0-9._~+/=-]{8,}"), "[token]"),
    ("PRIVATE KEY", re.compile(PRIVATE_KEY), "[private key]"),
    ("://", re.compile(r"(://[^\s:@/\"']*:)[^\s\"'@]+(?=@)"), r"\1[password]"),
    ("password=", re.compile(r"(password=)(?!\[)[^\s&;,\"']+"), r"\1[password]"),
)


def without_credentials(line: str) -> str:
    """The line without tokens, private keys, and passwords in addresses."""
    for hint, pattern, replacement in SHAPES:
        if hint in line:
            line = pattern.sub(replacement, line)
    return line
