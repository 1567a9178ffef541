"""What is no entry is refused with what is wrong with it, whatever kind of JSON it is."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from services.audit.entries import MOST_BYTES, parse_entry
from services.kernel.errors import Invalid

SOUND = {
    "id": "6f2c1f0e-8f0a-4f57-9a35-0d6a3a1d6b7a",
    "kind": "intent",
    "time": "2026-11-24T03:30:00.000000+00:00",
    "actor": "alice\0",
    "duration_ms": 1.5,
}


def body(**changed: Any) -> bytes:
    content = {name: value for name, value in {**SOUND, **changed}.items() if value is not ...}
    return orjson.dumps(content, option=orjson.OPT_SORT_KEYS)


def test_an_entry_is_read() -> None:
    entry = parse_entry(body(), "entries[0]")
    assert (str(entry.event_id), entry.kind, entry.actor) == (SOUND["id"], "intent", "alice\\u0000")
    assert (entry.time.isoformat(), entry.duration_ms) == ("2026-11-24T03:30:00+00:00", 1.5)
    assert parse_entry(body(actor=..., duration_ms=...), "entries[0]").actor == ""


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "not JSON: "),
        (b"[]", "not a JSON object"),
        (b"7", "not a JSON object"),
        (b'{"a": 1}', "not canonical JSON"),
        (body(message="x" * MOST_BYTES), "not canonical JSON of at most 256 KiB"),
        (body(kind=...), "kind is missing"),
        (body(kind=["intent"]), "kind is not text"),
        (body(kind="rumour"), "kind is none of intent, outcome, refusal"),
        (body(id=5), "id is not text"),
        (body(id="6f2c"), "id is not a UUID"),
        (body(time=None), "time is not text"),
        (body(time="tomorrow"), "time is not one of ISO 8601"),
        (body(time="0001-01-01T00:00:00+14:00"), "time is not one of ISO 8601, in the years 1 to 9999"),
        (body(actor={}), "actor is not text"),
        (body(duration_ms="1"), "duration_ms is not a number"),
    ],
)
def test_what_is_no_entry_is_refused_with_its_place_and_fault(content: bytes, fault: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse_entry(content, "entries[3]")
    [told] = refused.value.faults
    assert told.field == "entries[3]" and told.fault.startswith(f"is not an entry ({fault}")
