"""Reads what Celery's result backend stores of a task: one JSON object (celery/backends/base.py).

Since Celery 5.7 it may be compressed (`result_compression`), which the value itself says. Any program that
reaches the backend can write anything there, so nothing more is unpacked than may be read.
"""

from __future__ import annotations

import bz2
import json
import lzma
import re
import zlib
from collections.abc import Callable, Mapping
from typing import Any, Protocol

# What stands before a compressed value, the type of the compression, and a NUL.
COMPRESSED = b"\0celery-compressed\0"
STATUS = re.compile(rb'^\{"status": ?"([A-Z]{1,20})"')
DATE_DONE = re.compile(rb'"date_done": ?"([^"]{1,40})"')


class _Decompressor(Protocol):
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


# As kombu names them (kombu/compression.py). Those that need another package are not read.
_DECOMPRESSORS: Mapping[bytes, Callable[[], _Decompressor]] = {
    b"application/x-gzip": zlib.decompressobj,
    b"application/x-bz2": bz2.BZ2Decompressor,
    b"application/x-lzma": lzma.LZMADecompressor,
}


def plain_of(value: bytes, most: int) -> bytes | None:
    """Returns the value as it was before it was compressed, at most `most` and one bytes of it.

    None: it is compressed in a way that is not known here, or is broken.
    """
    if not value.startswith(COMPRESSED):
        return value[: most + 1]
    kind, _, body = value[len(COMPRESSED) :].partition(b"\0")
    opened = _DECOMPRESSORS.get(kind)
    if opened is None:
        return None
    try:
        return opened().decompress(body, most + 1)
    except (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError):
        return None


def object_in(value: bytes, most: int, *, shown: bool = False) -> dict[str, Any] | None:
    """Returns the object that is stored; None if there is none, or if it has more than `most` bytes.

    Celery writes what JSON or Unicode lacks: NaN, infinities, and halves of characters. With `shown` the
    numbers are texts and the halves "?", as is fit for reading. Otherwise the numbers stay what they are, and
    an object with halves of characters is none.
    """
    plain = plain_of(value, most)
    if plain is None or len(plain) > most:
        return None
    try:
        found = json.loads(plain, parse_constant=str if shown else None)
        if b"\\ud" in plain.lower():
            whole = json.dumps(found, ensure_ascii=False)
            found = json.loads(whole.encode(errors="replace" if shown else "strict"))
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def status_of_begin(begin: bytes) -> str:
    """Returns the state with which a large stored value begins; empty if it does not tell it."""
    found = STATUS.match(begin)
    return found[1].decode() if found else ""


def date_done_of_end(end: bytes) -> str:
    """Returns the last `date_done` in the last bytes of a large stored value; empty if there is none."""
    found = DATE_DONE.findall(end)
    return found[-1].decode(errors="replace") if found else ""
