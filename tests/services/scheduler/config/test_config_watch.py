"""The configuration is followed as it changes, also by who was away."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from celeriac.scheduler.v1 import config_pb2 as pb

from services.kernel.database import Database
from services.kernel.pages import decode_page_token, encode_page_token
from services.scheduler.config.feed import ConfigFeed
from services.scheduler.pace import USUAL, Pace
from tests.support.calls import fields_at_fault, refused
from tests.support.configurations import CHUNKS, TASKS, WAITING, put, span

DAY = 86_400


def watch(config: Any, **wanted: Any) -> Any:
    return config.WatchConfigs(pb.WatchConfigsRequest(**wanted))


def first_of(config: Any) -> Any:
    """A call that ends with the first message of a watch, or with its error."""
    return lambda request: next(config.WatchConfigs(request))


def cursor_now(config: Any) -> str:
    stream = watch(config)
    cursor: str = next(stream).cursor
    stream.cancel()
    return cursor


def test_a_watch_gives_what_is_then_what_changes(config: Any) -> None:
    stream = watch(config, prefixes=["embedder."])
    first = next(stream)
    assert first.complete
    assert [one.name for one in first.configs] == [WAITING, CHUNKS]
    put(config, TASKS, span(5 * DAY))
    changed = put(config, CHUNKS, pb.ConfigValue(int_value=15_000))
    told = next(response for response in stream if response.configs)
    assert (told.complete, list(told.configs)) == (False, [changed])
    assert told.revision == changed.revision
    assert told.cursor not in {"", first.cursor}
    stream.cancel()


def test_a_watch_taken_up_again_misses_nothing_and_repeats_nothing(config: Any) -> None:
    put(config, CHUNKS, pb.ConfigValue(int_value=16_000))
    seen = cursor_now(config)
    put(config, WAITING, pb.ConfigValue(int_value=9000))
    newest = put(config, WAITING, pb.ConfigValue(int_value=9500))
    stream = watch(config, cursor=seen)
    told = next(stream)
    assert (told.complete, list(told.configs)) == (False, [newest])
    stream.cancel()


def test_a_watch_taken_up_where_nothing_was_missed_answers_at_once(config: Any) -> None:
    seen = cursor_now(config)
    stream = watch(config, cursor=seen)
    told = next(stream)
    assert (told.complete, list(told.configs), told.cursor) == (False, [], seen)
    stream.cancel()


async def test_a_watch_without_news_gives_a_sign_of_life_with_a_cursor(database_url: str) -> None:
    assert USUAL.config_life == 15.0, "the contract says so"
    database = Database(database_url)
    watched = ConfigFeed(database, Pace(config_life=0.01)).after(None)
    try:
        first = await anext(watched)
        assert first.complete
        for sign in [await anext(watched), await anext(watched)]:
            assert (sign.settings, sign.complete, sign.place) == ([], False, first.place)
    finally:
        await watched.aclose()
        await database.close()


@pytest.mark.parametrize("elsewhere", [{"origin": "7/00000001/5"}, {"revision": 2**40}])
def test_a_cursor_of_another_database_is_refused_with_the_way_back(
    config: Any, elsewhere: dict[str, Any]
) -> None:
    cursor = encode_page_token(decode_page_token(cursor_now(config)) | elsewhere)
    code, message = refused(first_of(config), pb.WatchConfigsRequest(cursor=cursor))
    assert code is grpc.StatusCode.FAILED_PRECONDITION
    assert "watch without a cursor" in message


@pytest.mark.parametrize(
    "cursor",
    [
        "x",
        encode_page_token({}),
        encode_page_token({"origin": "a", "revision": True}),
        encode_page_token({"origin": "a", "revision": -1}),
        encode_page_token({"origin": 1, "revision": 1}),
    ],
)
def test_a_cursor_that_no_message_had_is_refused_by_name(config: Any, cursor: str) -> None:
    assert fields_at_fault(first_of(config), pb.WatchConfigsRequest(cursor=cursor)) == ["cursor"]
