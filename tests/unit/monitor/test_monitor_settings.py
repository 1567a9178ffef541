"""The monitor's own settings."""

from __future__ import annotations

from pathlib import Path

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


@pytest.mark.parametrize("template", ["logs.example.com", "https://x/?all", "https://x/{task}/{id}"])
def test_a_link_to_logs_that_leads_to_no_task_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, template: str
) -> None:
    monkeypatch.setenv("CELERIAC_LOG_LINK", template)
    with pytest.raises(SystemExit, match=r"CELERIAC_LOG_LINK.*for example: CELERIAC_LOG_LINK=https://"):
        read(MonitorSettings)


def test_rules_of_redaction_are_read_as_people_write_them(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "{'iban': 'a', 'accountNumber': 'b', 'sort_key': 'c'}"
    assert read(MonitorSettings).redaction.argument(text) == text.replace("'c'", "'[redacted]'")
    monkeypatch.setenv("CELERIAC_MONITOR_REDACT", "IBAN, account number,")
    monkeypatch.setenv("CELERIAC_MONITOR_REDACT_EXCEPT", "sort-key")
    seen = text.replace("'a'", "'[redacted]'").replace("'b'", "'[redacted]'")
    assert read(MonitorSettings).redaction.argument(text) == seen
    monkeypatch.setenv("CELERIAC_MONITOR_ARGUMENTS", "none")
    assert read(MonitorSettings).redaction.argument(text) == "[not kept]"


@pytest.mark.parametrize(
    ("name", "value", "example"),
    [
        ("REDACT", "iban;;,?", "iban,account_number"),
        ("REDACT_EXCEPT", "1", "primary_key,sort_key"),
        ("ARGUMENTS", "off", "redacted"),
        ("ARGUMENTS_READABLE_FROM", "everyone", "admin"),
    ],
)
def test_rules_of_redaction_that_are_none_stop_the_start(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, example: str
) -> None:
    variable = f"CELERIAC_MONITOR_{name}"
    monkeypatch.setenv(variable, value)
    with pytest.raises(SystemExit, match=f"{variable}: .*for example: {variable}={example}"):
        read(MonitorSettings)


def test_files_of_certificates_are_listed_with_commas_and_each_has_a_name_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert read(MonitorSettings).certificate_files == []
    monkeypatch.setenv("CELERIAC_MONITOR_CERTIFICATES", "/etc/a/worker.crt, /etc/a/ca.pem,")
    assert read(MonitorSettings).certificate_files == [Path("/etc/a/worker.crt"), Path("/etc/a/ca.pem")]
    monkeypatch.setenv("CELERIAC_MONITOR_CERTIFICATES", "/etc/a/worker.crt,/etc/b/worker.crt")
    with pytest.raises(SystemExit, match=r"'worker'.*for example: CELERIAC_MONITOR_CERTIFICATES=/etc/"):
        read(MonitorSettings)
