"""Reads the values that the result backend stores of many tasks at once, in a bounded number of bytes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from services.monitor.tasks.result_client import ResultClient

BYTES_AT_ONCE = 8 * 1024 * 1024


async def values_of(client: ResultClient, keys: Sequence[str], most_bytes: int) -> dict[str, bytes]:
    """Returns the values of the keys; those that are larger than `most_bytes` are left out.

    Raises redis-py's errors and OSError.
    """
    async with client.pipeline(transaction=False) as pipeline:
        for key in keys:
            pipeline.strlen(key)
        lengths = await pipeline.execute(raise_on_error=False)
    found: dict[str, bytes] = {}
    for some in _portions(zip(keys, lengths, strict=True), most_bytes):
        values = await client.mget(some)
        found |= {key: value for key, value in zip(some, values, strict=True) if value is not None}
    return found


def _portions(lengths: Iterable[tuple[str, object]], most_bytes: int) -> Sequence[list[str]]:
    """Groups the keys, so that each group's values have a limited number of bytes."""
    portions: list[list[str]] = []
    size = BYTES_AT_ONCE
    for key, length in lengths:
        # A key of another kind has no length but an error.
        if not isinstance(length, int) or not 0 < length <= most_bytes:
            continue
        size += length
        if size > BYTES_AT_ONCE:
            portions.append([])
            size = length
        portions[-1].append(key)
    return portions
