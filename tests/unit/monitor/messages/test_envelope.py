"""Messages as kombu stores them: read, and directed to another queue."""

from __future__ import annotations

import base64
import datetime as dt
import json
from typing import Any

import pytest

from services.monitor.messages.envelope import directed_to, names_of, read_message, task_id_of


def stored(headers: dict[str, Any], body: Any, **properties: Any) -> bytes:
    """As kombu 5 writes it: the body first, in base64."""
    return json.dumps(
        {
            "body": base64.b64encode(json.dumps(body).encode()).decode(),
            "content-encoding": "utf-8",
            "content-type": "application/json",
            "headers": headers,
            "properties": {
                "delivery_info": {"exchange": "media", "routing_key": "image.png"},
                "priority": 3,
                "body_encoding": "base64",
                "delivery_tag": "1f3a",
                **properties,
            },
        }
    ).encode()


HEADERS = {"id": "a", "task": "add", "retries": 2, "eta": "2026-11-30T12:00:00+08:00", "expires": None}


def test_arguments_are_read_from_the_body_where_no_header_shows_them() -> None:
    message = read_message(stored(HEADERS, [[1, "x"], {"key": None}, {}]), 3)
    assert (message.task_id, message.task, message.retries, message.priority) == ("a", "add", 2, 3)
    assert (message.args, message.kwargs) == ("[1, 'x']", "{'key': None}")
    assert message.eta == dt.datetime(2026, 11, 30, 4, tzinfo=dt.UTC) and message.expires is None


def test_a_message_of_celerys_first_protocol_has_it_all_in_its_body() -> None:
    raw = stored({}, {"id": "old", "task": "add", "args": [1], "kwargs": {}, "retries": 1, "eta": None})
    message = read_message(raw, 0)
    assert (message.task_id, message.task, message.args, message.retries) == ("old", "add", "[1]", 1)
    assert names_of(raw) == ("old", "add") and task_id_of(raw) == "old"


def test_the_task_of_a_large_message_is_read_from_its_end() -> None:
    raw = stored(HEADERS, [["x" * 100_000], {}, {}])
    assert task_id_of(raw[-2_000:]) == "a"
    assert task_id_of(raw[-20:]) == ""


@pytest.mark.parametrize(
    "headers",
    [
        {"id": 5, "task": ["x"], "retries": "many", "eta": 5, "expires": "soon", "argsrepr": 7},
        {"id": None, "retries": True, "eta": "9999-99-99"},
        {"id": "x" * 5000, "task": "nul\0", "retries": 10**30},
    ],
)
def test_headers_of_any_form_are_read_without_a_fault(headers: dict[str, Any]) -> None:
    message = read_message(stored(headers, 5), 0)
    assert message.eta is None and 0 <= message.retries < 2**31
    assert "\0" not in message.task and len(message.task_id) <= 1024


def test_a_message_that_is_directed_elsewhere_is_the_same_but_for_its_delivery_info() -> None:
    raw = stored({**HEADERS, "stamps": {}, "big": 10**25, "empty": []}, [["é"], {}, {}])
    new = directed_to(raw, "mail")
    assert new is not None
    before, after = json.loads(raw), json.loads(new)
    assert after["properties"].pop("delivery_info") == {"exchange": "", "routing_key": "mail"}
    before["properties"].pop("delivery_info")
    assert after == before and list(after) == list(before)


@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b'{"properties": {"delivery_info": 5}}', b"\xff"])
def test_what_is_no_message_of_kombus_is_not_directed_anywhere(raw: bytes) -> None:
    assert directed_to(raw, "mail") is None
    assert read_message(raw, 0).task_id == ""
