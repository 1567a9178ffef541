"""The configuration is followed as it changes, also by who was away."""

from __future__ import annotations

from typing import Any

from celeriac.scheduler.v1 import config_pb2 as pb

from tests.support.calls import fields_at_fault
from tests.support.configurations import CHUNKS, TASKS, WAITING, put, span

DAY = 86_400


def test_a_watch_gives_what_is_then_what_changes(config: Any) -> None:
    stream = config.WatchConfig(pb.WatchConfigRequest(prefixes=["embedder."]))
    first = next(stream)
    assert first.complete
    assert [one.name for one in first.configs] == [WAITING, CHUNKS]
    put(config, TASKS, span(5 * DAY))
    changed = put(config, CHUNKS, pb.ConfigValue(int_value=15_000))
    told = next(response for response in stream if response.configs)
    assert (told.complete, list(told.configs)) == (False, [changed])
    assert told.revision == changed.revision
    stream.cancel()


def test_a_watch_taken_up_again_misses_nothing_and_repeats_nothing(config: Any) -> None:
    seen = put(config, CHUNKS, pb.ConfigValue(int_value=16_000)).revision
    put(config, WAITING, pb.ConfigValue(int_value=9000))
    newest = put(config, WAITING, pb.ConfigValue(int_value=9500))
    stream = config.WatchConfig(pb.WatchConfigRequest(after_revision=seen))
    told = next(stream)
    assert (told.complete, list(told.configs)) == (False, [newest])
    stream.cancel()


def test_a_watch_from_a_revision_that_is_to_come_begins_anew(config: Any) -> None:
    """The database was restored from before it."""
    stream = config.WatchConfig(pb.WatchConfigRequest(after_revision=2**40))
    assert next(stream).complete
    stream.cancel()
    assert fields_at_fault(
        lambda request: next(config.WatchConfig(request)), pb.WatchConfigRequest(after_revision=-1)
    ) == ["after_revision"]
