"""What the search index is asked for: the keys of a text, and of the values of filters.

A key stands for a short run of characters (a gram) in a task's texts, or for the value of a filter. There are
two kinds of grams:

* Short: at every place three characters, or two where one of them is wide (Chinese, Japanese, Korean). They
  are ordered by their characters, so all that begin with one or two given characters lie between two keys.
* Long: a hash of six characters, at about every second place; the characters themselves decide at which. They
  tell words that stand side by side from words that are far apart.

A key has 48 bits: two for the kind, 46 for what it stands for. `building` computes the same keys for many
texts at once; a test compares the two.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import zip_longest
from typing import NamedTuple

from services.monitor.tasks.store_listing import TaskFilter

# Characters from here on are wide: one of them says about as much as two letters.
WIDE = 0x2E80
FIRST_BITS, SECOND_BITS, THIRD_BITS = 16, 16, 14
BODY_BITS = FIRST_BITS + SECOND_BITS + THIRD_BITS
# Short grams of all searched texts, and of the exception alone; long grams of both; values of filters.
TEXT, EXCEPTION, LONG, VALUE = range(4)

LONG_LENGTH = 6
# Few buckets keep the index small: a task is found in vain by one long gram in a hundred, by two in 10,000.
BUCKET_BITS = 14
# Odd multipliers of the characters of a long gram (from the golden ratio, by Knuth's multiplicative hashing).
MULTIPLIERS = tuple((0x9E3779B97F4A7C15 * (2 * place + 1)) % 2**64 for place in range(1, LONG_LENGTH + 1))
HASH_SHIFT = 40
# The bit of the hash that decides whether there is a long gram at a place.
SAMPLED_BIT = 60
# The most grams of each kind that a text is looked for by. More would exclude hardly any task.
MOST_GRAMS = 4


class Searched(NamedTuple):
    """What is searched of a task. The texts are in lower case, as PostgreSQL makes it."""

    # Arguments, result and exception; and the exception alone.
    text: str
    exception: str
    state: str
    task: str
    queue: str
    hostname: str
    # "{hostname}~{pid}"; empty where the process id is not known.
    process: str
    # Empty: none is known.
    exception_type: str


class Keys(NamedTuple):
    """The keys from `low` to `high`, both included."""

    low: int
    high: int


# A task is wanted if it has a key of each group.
Group = Sequence[Keys]


def groups_of(wanted: TaskFilter, lowered: str) -> list[Group]:
    """Returns what a task must have in the index to match the filter; `lowered` is its text in lower case.

    A task that has all of it need not match: whoever finds it by the index looks at the task as well.
    """
    values: list[Group] = [
        [_one(value_key("state", state.value)) for state in wanted.states],
        [_one(value_key("task", task)) for task in wanted.tasks],
        [_one(value_key("queue", queue)) for queue in wanted.queues],
        [
            _one(value_key("worker" if worker.pid is None else "process", str(worker)))
            for worker in wanted.workers
        ],
        [_one(value_key("exception", each)) for each in wanted.exception_types],
    ]
    texts: list[Group] = [[keys] for keys in _keys_of(lowered, wanted.only_exceptions)]
    return [group for group in (*texts, *values) if group]


def folded(character: int) -> int:
    """Returns 16 bits for a character. Those beyond share the places of characters for private use."""
    return character if character <= 0xFFFF else 0xE000 | (character & 0x1FFF)


def short_key(kind: int, first: int, second: int, third: int) -> int:
    if not second or max(first, second, third) >= WIDE:
        third = 0
    return ((kind << FIRST_BITS | first) << SECOND_BITS | second) << THIRD_BITS | third


def long_key(characters: Sequence[int], *, exception: bool) -> int | None:
    """Returns the key of these `LONG_LENGTH` characters; None where there is no long gram."""
    hashed = sum(character * by for character, by in zip(characters, MULTIPLIERS, strict=True))
    if hashed >> SAMPLED_BIT & 1:
        return None
    bucket = hashed >> HASH_SHIFT & (1 << BUCKET_BITS) - 1
    return LONG << BODY_BITS | exception << BUCKET_BITS | bucket


def value_key(name: str, value: str) -> int:
    digest = hashlib.blake2b(f"{name}={value}".encode(errors="surrogatepass"), digest_size=8).digest()
    return VALUE << BODY_BITS | int.from_bytes(digest) >> 64 - BODY_BITS


def _one(key: int) -> Keys:
    return Keys(key, key)


def _keys_of(lowered: str, only_exceptions: bool) -> list[Keys]:
    """Returns keys that every task with this text has.

    Short and long ones in turn: no short one of a strange word is in a slice, and two long ones of a strange
    phrase are in no task.
    """
    characters = [folded(ord(character)) for character in lowered]
    kind = EXCEPTION if only_exceptions else TEXT
    if not characters:
        return []
    if len(characters) < 3:
        return [_beginning(kind, characters)]
    # The last two characters are a gram only where one of them is wide.
    whole = len(characters) - (1 if max(characters[-2:]) >= WIDE else 2)
    padded = [*characters, 0]
    shorts = [short_key(kind, *padded[place : place + 3]) for place in range(whole)]
    windows = (characters[place : place + LONG_LENGTH] for place in range(len(characters) - LONG_LENGTH + 1))
    longs = [key for window in windows if (key := long_key(window, exception=only_exceptions)) is not None]
    both = zip_longest(_spread(shorts), _spread(longs))
    return [_one(key) for pair in both for key in pair if key is not None]


def _beginning(kind: int, characters: Sequence[int]) -> Keys:
    """Returns the keys of all short grams that begin with these one or two characters."""
    if len(characters) == 1:
        low = short_key(kind, characters[0], 0, 0)
        return Keys(low, low + (1 << SECOND_BITS + THIRD_BITS) - 1)
    low = short_key(kind, characters[0], characters[1], 0)
    return Keys(low, low if max(characters) >= WIDE else low + (1 << THIRD_BITS) - 1)


def _spread(keys: Sequence[int]) -> Sequence[int]:
    """Returns at most `MOST_GRAMS` of the keys, evenly spread, the first and the last among them."""
    if len(keys) <= MOST_GRAMS:
        return keys
    return [keys[number * (len(keys) - 1) // (MOST_GRAMS - 1)] for number in range(MOST_GRAMS)]
