"""The file of channels: read, refused, and read again when it changes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from services.kernel.errors import FailedPrecondition
from services.monitor.alerts.channels import Channel, Channels, ChannelsFault, channels_in
from services.monitor.alerts.rule import Severity
from tests.support.alerts import an_alert

OPS = '[[channel]]\nname = "ops"\nurl = "slack://TokenX/TokenY/TokenZ"\n'


def test_a_channel_is_told_of_what_is_severe_enough_and_has_its_labels() -> None:
    [channel] = channels_in(OPS + 'least_severity = "WARNING"\nlabels = { team = "rvt" }\n')
    assert channel == Channel("ops", "slack://TokenX/TokenY/TokenZ", Severity.WARNING, {"team": "rvt"})
    assert channel.kind == "slack"
    assert "TokenX" not in repr(channel)
    assert channel.is_told(an_alert())
    assert not channel.is_told(an_alert(severity=Severity.INFO))
    assert not channel.is_told(an_alert(labels={}))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[[channel]\n", "is no TOML"),
        ("a = " + "[" * 5_000, "is no TOML that can be read"),
        ("a = " + "9" * 5_000, "is no TOML that can be read"),
        ("channels = 1\n", "has 'channels', only tables [[channel]] are known"),
        ("[channel]\n", "must have at most 100 tables"),
        ('[[channel]]\nurl = "json://x"\n', "channel 1: name must be"),
        ('[[channel]]\nname = "Ops!"\nurl = "json://x"\n', "channel 1: name must be"),
        ('[[channel]]\nname = "ops"\n', "channel 'ops': url must be an address of Apprise"),
        (OPS + "severity = 1\n", "channel 'ops' has 'severity'; known are"),
        (OPS + 'least_severity = "loud"\n', "least_severity must be one of INFO, WARNING, CRITICAL"),
        (OPS + "labels = { team = 1 }\n", "labels must be a table of texts"),
        (OPS + OPS, "two channels with the name 'ops'"),
    ],
)
def test_what_is_wrong_with_the_file_is_told_without_addresses(text: str, fault: str) -> None:
    with pytest.raises(ChannelsFault) as refused:
        channels_in(text)
    assert fault in str(refused.value)
    assert "TokenX" not in str(refused.value)


def test_the_file_is_read_again_when_it_changes_and_a_wrong_one_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "channels.toml"
    channels = Channels(path)
    assert channels.all() == []
    path.write_text(OPS)
    assert [channel.name for channel in channels.all()] == ["ops"]
    path.write_text("nonsense")
    assert [channel.name for channel in channels.all()] == ["ops"]
    with pytest.raises(FailedPrecondition, match="is no TOML"):
        channels.sound()
    path.write_text(OPS.replace("ops", "night"))
    assert [channel.name for channel in channels.sound()] == ["night"]
    path.unlink()
    assert channels.sound() == []
    assert Channels(None).all() == ()


def test_what_is_no_small_plain_file_is_a_fault_that_holds_nobody_up(tmp_path: Path) -> None:
    folder, pipe, large = tmp_path / "folder", tmp_path / "pipe", tmp_path / "large"
    folder.mkdir()
    os.mkfifo(pipe)
    large.write_bytes(b"#" * (1 << 20) + b"#")
    for path, fault in ((folder, "is no plain file"), (pipe, "is no plain file"), (large, "bytes, at most")):
        with pytest.raises(FailedPrecondition, match=fault):
            Channels(path).sound()


def test_a_file_that_could_not_be_read_is_read_when_it_can(tmp_path: Path) -> None:
    path = tmp_path / "channels.toml"
    path.write_text(OPS)
    channels = Channels(path)
    real = Path.read_text

    def refuse(*_: object, **__: object) -> str:
        raise PermissionError("no right to read it")

    # Root, who may run the tests, may read any file.
    Path.read_text = refuse  # type: ignore[method-assign]
    try:
        with pytest.raises(FailedPrecondition, match="PermissionError"):
            channels.sound()
    finally:
        Path.read_text = real  # type: ignore[method-assign]
    assert [channel.name for channel in channels.sound()] == ["ops"]
