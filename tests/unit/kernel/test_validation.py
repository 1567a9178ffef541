"""Faults of requests: every one named, each with an example."""

from __future__ import annotations

import pytest

from services.kernel.errors import Invalid
from services.kernel.pages import decode_page_token, encode_page_token, page_size
from services.kernel.validation import Faults


def test_all_faults_are_told_at_once_each_with_its_field_and_an_example() -> None:
    faults = Faults()
    faults.unless(False, "priority", "is 42, it must be 0 to 9", "5")
    faults.text("queue", "", "ai_analysis", most=200)
    faults.text("task", "x" * 300, "rebuild_chat_vectors", most=200)
    faults.text("note", "a\0b", "paused for maintenance", most=200)
    faults.text("note", "\ud800", "paused for maintenance", most=200)
    faults.text("note", "", "fine when not required", most=200, required=False)
    with pytest.raises(Invalid) as refused:
        faults.raise_any()
    assert [fault.field for fault in refused.value.faults] == ["priority", "queue", "task", "note", "note"]
    assert "priority is 42, it must be 0 to 9; for example: 5" in refused.value.message


def test_without_a_fault_nothing_is_raised() -> None:
    faults = Faults()
    assert faults.text("name", "每小時處理", "hourly", most=200)
    faults.raise_any()


@pytest.mark.parametrize(
    ("value", "character"),
    [
        ("hourly\u00a0job", "U+00A0 (NO-BREAK SPACE) as character 7"),
        ("\ufeffhourly", "U+FEFF (ZERO WIDTH NO-BREAK SPACE) as character 1"),
        ("每小時\u200b", "U+200B (ZERO WIDTH SPACE) as character 4"),
        ("a\tb", "U+0009 as character 2"),
        ("a\x7f", "U+007F as character 2"),
        ("a\x9f", "U+009F as character 2"),
        ("a\u2007", "U+2007 (FIGURE SPACE) as character 2"),
        ("a\u2028", "U+2028 (LINE SEPARATOR) as character 2"),
        ("a\u202fb", "U+202F (NARROW NO-BREAK SPACE) as character 2"),
        ("a\u2060b", "U+2060 (WORD JOINER) as character 2"),
        ("a\u200eb", "U+200E (LEFT-TO-RIGHT MARK) as character 2"),
        ("a\u3000b", "U+3000 (IDEOGRAPHIC SPACE) as character 2"),
    ],
)
def test_a_character_that_nobody_sees_is_refused_in_a_name_and_named(value: str, character: str) -> None:
    faults = Faults()
    assert not faults.name("queue", value, "ai_analysis", most=200)
    rule = "only visible characters and plain spaces are allowed"
    assert list(map(str, faults)) == [f"queue has {character}; {rule}; for example: ai_analysis"]
    assert faults.text("description", value, "any text", most=200)


def test_a_name_may_have_every_character_that_is_seen_and_the_space() -> None:
    faults = Faults()
    assert faults.name("queue", "重要 tâches: [mail] é 🦊", "ai_analysis", most=200)
    assert not faults.name("queue", "", "ai_analysis", most=200)
    assert faults.name("queue", "", "ai_analysis", most=200, required=False)
    assert [fault.fault for fault in faults] == ["is empty"]


def test_a_page_token_comes_back_as_the_position_it_was_made_of() -> None:
    position = {"after": ["2026-11-24T00:00:00Z", "每小時"], "n": 3}
    assert decode_page_token(encode_page_token(position)) == position
    assert decode_page_token("") == {}


@pytest.mark.parametrize("token", ["@@@", "Zm9v", "W10", "x" * 5])
def test_a_made_up_page_token_is_invalid(token: str) -> None:
    with pytest.raises(Invalid, match="page_token"):
        decode_page_token(token)


def test_a_page_size_is_bounded_and_never_negative() -> None:
    assert (page_size(0), page_size(7), page_size(10**9)) == (50, 7, 1000)
    with pytest.raises(Invalid, match="page_size"):
        page_size(-1)
