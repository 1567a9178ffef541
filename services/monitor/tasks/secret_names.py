"""Which names stand before a secret: "api_key" does, "keyboard" does not.

A name is cut into words, at underscores, dashes, digits and capitals: "secret-key", "accessKey" and
"DB_PASSWORD" have words of the rules. Words that are run together count where they end in one that has no
other meaning ("dbpassword", "authtoken").
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable

DEFAULT = (
    *("password", "passwd", "pwd", "passphrase", "token", "secret", "key", "authorization", "cookie"),
    *("apikey", "accesskey", "secretkey", "privatekey", "authkey", "signingkey", "encryptionkey"),
)
# Words that end in one of these are taken for it.
RUN_TOGETHER = ("password", "passwd", "token", "secret")
# Their values are headers, which consist of several words.
HEADERS = frozenset({"authorization", "cookie"})
# A longer name is judged by its last characters.
MOST_NAME = 100
MOST_KEPT = 10_000

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_A-Za-z]+")


class Kind(enum.IntEnum):
    """What the value of a name is. COUNTED: of a plural; then a number is a count, as in max_tokens=512."""

    PLAIN = 0
    SECRET = 1
    COUNTED = 2
    HEADER = 3


class SecretNames:
    """`more`: names beside the default ones, each a word or several ("account_number"), found as whole words
    within longer names. `clear`: whole names whose values are no secrets ("primary_key")."""

    def __init__(self, more: Iterable[str] = (), clear: Iterable[str] = ()) -> None:
        self.rules = tuple(dict.fromkeys((*DEFAULT, *filter(None, map(words_of, more)))))
        self._clear = frozenset(map(words_of, clear))
        self._known: dict[str, Kind] = {}

    def kind(self, name: str) -> Kind:
        """Returns what the value of the name is."""
        known = self._known.get(name)
        if known is None:
            known = self._judged(name[-MOST_NAME:])
            if len(self._known) < MOST_KEPT and len(name) <= MOST_NAME:
                self._known[name] = known
        return known

    def _judged(self, name: str) -> Kind:
        words = words_of(name)
        if words in self._clear:
            return Kind.PLAIN
        if self._has_rule(words):
            return Kind.HEADER if HEADERS.intersection(words.split("_")) else Kind.SECRET
        singular = "_".join(word.removesuffix("s") for word in words.split("_"))
        return Kind.COUNTED if self._has_rule(singular) else Kind.PLAIN

    def _has_rule(self, words: str) -> bool:
        within = f"_{words}_"
        return any(f"_{rule}_" in within for rule in self.rules) or any(
            word.endswith(RUN_TOGETHER) for word in words.split("_")
        )


def words_of(name: str) -> str:
    """Returns "access_key" for "accessKey", "Access-Key" and "access key"."""
    return "_".join(_WORD.findall(name)).lower()
