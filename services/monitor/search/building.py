"""Makes the blocks of the search index from the texts of many tasks at once.

About 20 µs of CPU a task, nearly all of it in numpy, which lets other threads run meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from services.monitor.search.grams import (
    BODY_BITS,
    BUCKET_BITS,
    EXCEPTION,
    FIRST_BITS,
    HASH_SHIFT,
    LONG,
    LONG_LENGTH,
    MULTIPLIERS,
    SAMPLED_BIT,
    SECOND_BITS,
    TEXT,
    THIRD_BITS,
    WIDE,
    Searched,
    value_key,
)
from services.monitor.search.postings import (
    HEAD,
    KEY_BYTES,
    MOST_BYTES,
    MOST_TASKS,
    NUMBER_BITS,
    NUMBER_BYTES,
    block_of_bitmap,
    block_of_lists,
)

# A slice's keys are found in portions of so many characters, to bound the memory.
PORTION = 100_000
# A key that more than one in so many tasks have is kept as a bitmap, which is then shorter than a list.
DENSE = 16

Integers = NDArray[np.int64]


def blocks_of(tasks: Sequence[Searched]) -> list[tuple[int, bytes]]:
    """Returns the blocks of a slice with these tasks, each with its first key; at most `MOST_TASKS`."""
    portions = [
        *_of_texts([task.text for task in tasks], exception=False),
        *_of_texts([task.exception for task in tasks], exception=True),
        _of_values(tasks),
    ]
    posted = np.concatenate(portions)
    portions.clear()
    posted.sort()
    return list(_blocks(posted, len(tasks))) if len(posted) else []


def _of_texts(texts: Sequence[str], *, exception: bool) -> Iterator[Integers]:
    """Yields keys with the numbers of their tasks, each pair once within a portion."""
    begin = size = 0
    for number, text in enumerate(texts):
        size += len(text) + 1
        if size >= PORTION or number == len(texts) - 1:
            if size > number - begin + 1:
                yield _of_portion(texts[begin : number + 1], begin, exception)
            begin, size = number + 1, 0


def _of_portion(texts: Sequence[str], first: int, exception: bool) -> Integers:
    # Between two texts stands a NUL, which no text has; so no gram reaches from one into the next.
    joined = "\0".join(texts) + "\0" * LONG_LENGTH
    encoded = joined.encode("utf-32-le", errors="surrogatepass")
    characters = np.frombuffer(encoded, dtype="<u4").astype(np.int64)
    characters = np.where(characters > 0xFFFF, 0xE000 | (characters & 0x1FFF), characters)
    lengths = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts)) + 1
    numbers = np.repeat(np.arange(first, first + len(texts), dtype=np.int64), lengths)
    short = _short_keys(characters, len(numbers), EXCEPTION if exception else TEXT)
    whole = characters[: len(numbers)] != 0
    long, at = _long_keys(characters, whole, exception)
    posted = np.concatenate([short[whole] << NUMBER_BITS | numbers[whole], long << NUMBER_BITS | numbers[at]])
    return _distinct(posted)


def _short_keys(characters: Integers, count: int, kind: int) -> Integers:
    first, second, third = (characters[place : place + count] for place in range(3))
    wide = (first >= WIDE) | (second >= WIDE) | (third >= WIDE)
    third = np.where(wide | (second == 0), 0, third)
    return ((kind << FIRST_BITS | first) << SECOND_BITS | second) << THIRD_BITS | third


def _long_keys(
    characters: Integers, whole: NDArray[np.bool_], exception: bool
) -> tuple[Integers, NDArray[np.intp]]:
    """Returns the keys, and the places at which they begin: those that don't reach beyond the text."""
    count, unsigned = len(whole), characters.astype(np.uint64)
    hashed = np.zeros(count, dtype=np.uint64)
    whole = whole.copy()
    for place, by in enumerate(MULTIPLIERS):
        hashed += unsigned[place : place + count] * np.uint64(by)
        whole &= characters[place : place + count] != 0
    at = np.flatnonzero(whole & (hashed >> np.uint64(SAMPLED_BIT) & np.uint64(1) == 0))
    bucket = (hashed[at] >> np.uint64(HASH_SHIFT)).astype(np.int64) & (1 << BUCKET_BITS) - 1
    return LONG << BODY_BITS | int(exception) << BUCKET_BITS | bucket, at


def _of_values(tasks: Sequence[Searched]) -> Integers:
    known: dict[tuple[str, str], int] = {}
    posted = []
    for number, task in enumerate(tasks):
        for named in (
            ("state", task.state),
            ("task", task.task),
            ("queue", task.queue),
            ("worker", task.hostname),
            ("process", task.process),
            ("exception", task.exception_type),
        ):
            if named[1]:
                key = known.get(named)
                if key is None:
                    key = known[named] = value_key(*named)
                posted.append(key << NUMBER_BITS | number)
    return np.array(posted, dtype=np.int64)


def _distinct(posted: Integers) -> Integers:
    posted.sort()
    return posted[np.concatenate(([True], posted[1:] != posted[:-1]))]


def _blocks(posted: Integers, tasks: int) -> Iterator[tuple[int, bytes]]:
    """Yields the blocks of keys with numbers, which are sorted."""
    numbers = posted.astype("<u2") & np.uint16(MOST_TASKS - 1)
    keys = posted
    keys >>= NUMBER_BITS
    begins = np.flatnonzero(np.concatenate(([True], keys[1:] != keys[:-1])))
    firsts, begins_listed = keys[begins].tolist(), [*begins.tolist(), len(posted)]
    waiting: list[int] = []
    size = HEAD.size
    for place, key in enumerate(firsts):
        begin, end = begins_listed[place], begins_listed[place + 1]
        dense = (end - begin) * DENSE > tasks
        more = KEY_BYTES + NUMBER_BYTES * (end - begin + 1)
        if waiting and (dense or size + more > MOST_BYTES):
            yield _lists(waiting, firsts, begins_listed, numbers)
            waiting, size = [], HEAD.size
        if dense:
            bits = np.zeros(tasks, dtype=np.bool_)
            bits[numbers[begin:end]] = True
            yield key, block_of_bitmap(np.packbits(bits, bitorder="little").tobytes())
        else:
            waiting.append(place)
            size += more
    if waiting:
        yield _lists(waiting, firsts, begins_listed, numbers)


def _lists(
    places: Sequence[int], keys: Sequence[int], begins: Sequence[int], numbers: NDArray[np.uint16]
) -> tuple[int, bytes]:
    start, end = begins[places[0]], begins[places[-1] + 1]
    ends = [begins[place + 1] - start for place in places]
    block = block_of_lists([keys[place] for place in places], ends, numbers[start:end].tobytes())
    return keys[places[0]], block
