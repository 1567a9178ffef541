"""The monitor's own settings."""

from __future__ import annotations

import pytest

from services.kernel.variables import read
from services.monitor.settings import MonitorSettings

REQUIRED = {
    "DATABASE_URL": "postgresql://nowhere/none",
    "CELERIAC_TLS_CA": "ca.pem",
    "CELERIAC_TLS_CERT": "monitor.crt",
    "CELERIAC_TLS_KEY": "monitor.key",
    "CELERIAC_JWKS": "jwks.json",
}


@pytest.fixture(autouse=True)
def required(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in REQUIRED.items():
        monkeypatch.setenv(name, value)


def test_priority_steps_are_read_as_people_write_them(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read(MonitorSettings).layout.steps == (0, 3, 6, 9)
    monkeypatch.setenv("CELERIAC_BROKER_PRIORITY_STEPS", "0, 1,2")
    assert read(MonitorSettings).layout.steps == (0, 1, 2)


@pytest.mark.parametrize("steps", ["", "1,2", "0,2,1", "0,0", "0,x", "0;3", "0,-1"])
def test_priority_steps_that_are_none_stop_the_start(monkeypatch: pytest.MonkeyPatch, steps: str) -> None:
    monkeypatch.setenv("CELERIAC_BROKER_PRIORITY_STEPS", steps)
    with pytest.raises(
        SystemExit,
        match=r"CELERIAC_BROKER_PRIORITY_STEPS.*for example: CELERIAC_BROKER_PRIORITY_STEPS=0,3,6,9",
    ):
        read(MonitorSettings)
