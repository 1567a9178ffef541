"""What the result backend stores of a task beside its result."""

from __future__ import annotations

import json
from typing import Any

import pytest
from celery import Celery
from celery.backends.base import compress_payload  # type: ignore[attr-defined]  # newer than the stubs
from celery.result import AsyncResult, GroupResult
from hypothesis import given
from hypothesis import strategies as st

from services.monitor.tasks.stored_meta import MOST_BYTES, MOST_CHILDREN, NOTHING, StoredMeta, meta_in


def read(meta: Any) -> StoredMeta:
    return meta_in(json.dumps(meta).encode())


def test_state_group_and_children_are_read() -> None:
    # An application of its own: the current one is of another test, and its backend may be gone.
    app = Celery("of-this-test", backend="cache+memory://", set_as_current=False)
    above: AsyncResult[Any] = AsyncResult("above", app=app)
    one: AsyncResult[Any] = AsyncResult("one", app=app)
    others: list[AsyncResult[Any]] = [
        AsyncResult("two", parent=above, app=app),
        AsyncResult("three", app=app),
    ]
    children = [one.as_tuple(), GroupResult("group", others, app=app).as_tuple()]
    found = read({"status": "PROGRESS", "result": {"done": 5}, "children": children, "group_id": "g"})
    assert found == StoredMeta("PROGRESS", "g", ("one", "two", "three"))
    assert read({"status": "SUCCESS", "result": 1, "children": []}) == StoredMeta("SUCCESS")


@pytest.mark.parametrize("value", [b"", b"\x80\x04K\x01.", b"[1]", b"{", b'"SUCCESS"'])
def test_what_is_no_json_object_tells_nothing(value: bytes) -> None:
    assert meta_in(value) == NOTHING


def test_no_more_children_are_told_than_the_bound() -> None:
    many = [[[f"t{number}", None], None] for number in range(5_000)]
    assert len(read({"status": "SUCCESS", "children": many}).children) == MOST_CHILDREN


values = st.recursive(
    st.none() | st.text(max_size=5) | st.integers(), lambda inner: st.lists(inner, max_size=4), max_leaves=20
)


@given(st.fixed_dictionaries({"status": values, "group_id": values, "children": values}))
def test_nothing_that_is_stored_makes_it_raise(meta: Any) -> None:
    found = read(meta)
    assert all(isinstance(text, str) for text in (found.state, found.group_id, *found.children))


def test_what_celery_compresses_and_numbers_that_json_lacks_are_read() -> None:
    meta = {"status": "SUCCESS", "result": float("nan"), "group_id": "g"}
    for compression in ("gzip", "bzip2", "lzma"):
        value = compress_payload(json.dumps(meta).encode(), compression)
        assert meta_in(value) == StoredMeta("SUCCESS", "g")
    assert meta_in(compress_payload(b" " * (MOST_BYTES + 1), "gzip")) == NOTHING
