"""Page tokens: what a list gives comes back, and what it can't have given is refused by name."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest

from services.kernel.errors import Invalid
from services.kernel.pages import (
    INFINITE,
    decode_before,
    decode_last,
    decode_place,
    encode_before,
    encode_last,
    encode_page_token,
    encode_place,
    next_page_token,
)

MOMENT = dt.datetime(2026, 11, 24, 3, 30, 0, 123456, dt.UTC)


def test_what_a_list_gave_comes_back() -> None:
    assert decode_place(encode_place((MOMENT, "每日-1"))) == (MOMENT, "每日-1")
    for infinite in INFINITE:
        assert decode_place(encode_place((infinite, "n"))) == (infinite, "n")
    assert decode_last(encode_last("每日-1")) == "每日-1"
    assert decode_before(encode_before(2**63 - 1)) == 2**63 - 1


def test_the_first_page_has_no_token() -> None:
    assert (decode_place(""), decode_last(""), decode_before("")) == (None, "", None)


def test_only_a_page_that_another_follows_has_a_token() -> None:
    assert next_page_token(["a", "b", "c"], 2, encode_last) == encode_last("b")
    assert next_page_token(["a", "b"], 2, encode_last) == ""
    assert next_page_token([], 2, encode_last) == ""


@pytest.mark.parametrize(
    ("decode", "token"),
    [
        *((decode, token) for decode in (decode_place, decode_last, decode_before) for token in ("?", "W10")),
        (decode_place, encode_page_token({"at": "2026-11-24T03:30:00", "id": "no zone"})),
        (decode_place, encode_page_token({"at": "tomorrow", "id": "a"})),
        (decode_place, encode_page_token({"at": MOMENT.isoformat(), "id": "a\0"})),
        (decode_place, encode_page_token({"at": MOMENT.isoformat(), "id": 1})),
        (decode_place, encode_page_token({"at": "0001-01-01T00:00:00+14:00", "id": "a"})),
        (decode_place, encode_page_token({})),
        (decode_place, encode_before(1)),
        (decode_last, encode_before(1)),
        (decode_last, encode_last("a\0")),
        (decode_last, encode_page_token({"after": 1})),
        (decode_before, encode_before(2**63)),
        (decode_before, encode_before(-1)),
        (decode_before, encode_last("a")),
    ],
)
def test_what_it_did_not_give_is_refused(decode: Callable[[str], Any], token: str) -> None:
    with pytest.raises(Invalid) as refused:
        decode(token)
    assert [fault.field for fault in refused.value.faults] == ["page_token"]
