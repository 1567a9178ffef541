"""Replaces secrets that are known by their own shape: private keys, JWTs, bearer tokens, passwords in
addresses, numbers of payment cards.

All of it takes time in proportion to the length of the text, which the sender of an event chooses.
"""

from __future__ import annotations

import re

from services.kernel.masking import without_jwts
from services.monitor.tasks.card_numbers import cards_in

REDACTED = "[redacted]"
# What a text with a secret of these shapes has, in lower case; of private keys it is the word "key", which is
# one of the names. `QuickLook` tells itself of numbers.
HINTS = ("bearer", "://", "eyj")
_BEGIN = re.compile(r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
_END = re.compile(r"-----END [A-Z0-9 ]{0,40}-----")
_QUOTE = re.compile("[\"']")
# Shorter words are prose ("a bearer token is missing").
_BEARER = re.compile(r"(\bbearer(?:\s|\+|%20){1,5}+)[\w.~+/=-]{16,}", re.IGNORECASE)
_ADDRESS = re.compile(r"""://[^\s"'<>\\]++""")
_PORT = re.compile(r"[0-9]{1,5}(?![^/?#,;\])}.…])")
_CUT = (".", "…")


def without_shapes(text: str, lowered: str) -> str:
    """Returns the text with each such secret replaced. `lowered`: the text in lower case."""
    if "-----begin" in lowered:
        text = _without_private_keys(text)
    if "://" in lowered:
        text = _ADDRESS.sub(_without_password, text)
    if "eyj" in lowered:
        text = without_jwts(text, REDACTED)
    if "bearer" in lowered:
        text = _BEARER.sub(rf"\g<1>{REDACTED}", text)
    return _without_cards(text)


def _without_private_keys(text: str) -> str:
    """A key without an end is cut off, and ends with the text in quotes that it stands in."""
    parts, done, ends = [], 0, True
    while (begin := _BEGIN.search(text, done)) is not None:
        end = _END.search(text, begin.end()) if ends else None
        ends = end is not None
        quote = None if ends else _QUOTE.search(text, begin.end())
        parts += [text[done : begin.start()], REDACTED]
        done = end.end() if end else quote.start() if quote else len(text)
    return "".join([*parts, text[done:]])


def _without_password(address: re.Match[str]) -> str:
    """Replaces what is between the first ":" and the last "@"; where the "@" is cut off, all that follows.

    An address may have several hosts, and a password a "/" that should have been escaped.
    """
    found = address[0]
    colon = found.find(":", 3)
    if colon < 0:
        return found
    host = found.rfind("@")
    if host > colon:
        port = _PORT.match(found, colon + 1)
        if port is not None and found[port.end() : port.end() + 1] in ("/", "?", "#"):
            return found  # as in http://host:8080/path?email=a@b
        return f"{found[: colon + 1]}{REDACTED}{found[host:]}"
    if host >= 0:
        return found
    cut = address.end() == len(address.string) or found.endswith(_CUT)
    if not cut or "/" in found[3:colon] or _PORT.match(found, colon + 1) or found[3:4] == "[":
        return found
    return f"{found[: colon + 1]}{REDACTED}"


def _without_cards(text: str) -> str:
    parts, done = [], 0
    for start, end in cards_in(text):
        parts += [text[done:start], REDACTED]
        done = end
    return "".join([*parts, text[done:]]) if parts else text
