"""What a key takes, and that every key there is means something."""

from __future__ import annotations

import datetime as dt
import math
import re
from pathlib import Path

import pytest
from celeriac.scheduler.v1 import config_pb2 as pb

from services.kernel import live_keys
from services.kernel.config_wire import FIELDS, value_from, value_to
from services.kernel.live_keys import KEYS, AnyKey, ConfigType, Key, Value, key_named, keys_of

ROOT = Path(__file__).parents[3]
SECOND = dt.timedelta(seconds=1)
FLAG = Key("a.flag", ConfigType.BOOL, False, "")
COUNT = Key("a.count", ConfigType.INT, 5, "", minimum=1, maximum=10)
SHARE = Key("a.share", ConfigType.FLOAT, 0.5, "", minimum=0.0, maximum=1.0)
NAME = Key("a.name", ConfigType.STRING, "x", "", maximum=5)
SPAN = Key("a.span", ConfigType.DURATION, SECOND, "", minimum=SECOND, maximum=60 * SECOND)
WORD = Key("a.word", ConfigType.ENUM, "on", "", choices=("on", "off"))


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        (FLAG, True, ""),
        (FLAG, 1, "type bool"),
        (COUNT, 1, ""),
        (COUNT, 10, ""),
        (COUNT, 0, "at least 1"),
        (COUNT, 11, "at most 10"),
        (COUNT, True, "type int"),
        (COUNT, 5.0, "type int"),
        (SHARE, 1.0, ""),
        (SHARE, 1.5, "at most 1.0"),
        (SHARE, math.nan, "finite"),
        (SHARE, math.inf, "finite"),
        (NAME, "abcde", ""),
        (NAME, "abcdef", "at most 5"),
        (NAME, "a\0", "NUL"),
        (SPAN, SECOND, ""),
        (SPAN, 61 * SECOND, "at most 60s"),
        (SPAN, 0 * SECOND, "at least 1s"),
        (SPAN, SECOND + dt.timedelta(microseconds=1), "is 1.000001s, it must be in whole milliseconds"),
        (WORD, "off", ""),
        (WORD, "dim", "on, off"),
    ],
)
def test_a_value_is_of_its_type_and_within_its_bounds(key: AnyKey, value: Value, words: str) -> None:
    assert words in key.fault_of(value)
    assert bool(words) == bool(key.fault_of(value))


@pytest.mark.parametrize("key", [FLAG, COUNT, SHARE, NAME, SPAN, WORD], ids=lambda key: str(key.name))
def test_a_value_comes_through_the_contract_as_it_was(key: AnyKey) -> None:
    message = value_to(key.default)
    assert message is not None
    assert message.WhichOneof("kind") == FIELDS[key.type]
    assert value_from(pb.ConfigValue.FromString(message.SerializeToString())) == key.default


def test_a_secret_may_have_any_sound_name_and_is_never_shown_in_a_fault() -> None:
    key = key_named("secrets.smtp.password-2")
    assert key is not None
    assert key.sensitive
    assert "hunter" not in key.fault_of("hunter" * 10_000)
    for name in ("secrets.", "secrets.A", "secrets.a b", "secrets..a", "secrets." + "a" * 101, "x.secrets.a"):
        assert key_named(name) is None, name


@pytest.mark.parametrize("key", KEYS.values(), ids=lambda key: str(key.name))
def test_a_declared_key_is_sound_told_of_and_used_by_the_services_it_names(key: AnyKey) -> None:
    assert key.default is not None
    assert key.fault_of(key.default) == ""
    assert key.description
    assert key.used_by
    assert f"`{key.name}`" in (ROOT / "docs/configuration.md").read_text()
    [constant] = [name for name, value in vars(live_keys).items() if value is key]
    for service in key.used_by:
        assert key in keys_of(service)
        # What every service uses, the kernel uses for it.
        folders = [ROOT / "services" / service, ROOT / "services/kernel"]
        sources = [path for folder in folders for path in folder.rglob("*.py")]
        uses = [
            p for p in sources if p.name != "live_keys.py" and re.search(rf"\b{constant}\b", p.read_text())
        ]
        assert uses, f"{service} does nothing with {key.name}"
