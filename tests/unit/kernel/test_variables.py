"""Environment variables: misspelt names are refused, foreign ones reported; the list of names is whole."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator

import pytest
from pydantic_settings import BaseSettings

import deploy
import services
from services.kernel.settings import KernelSettings
from services.kernel.variables import KNOWN, PREFIX, letters_between, misspelt, read, unknown

# Variables of the client package (docs: clients/python/README.md), which imports nothing of the services.
OF_CLIENTS = {"CELERIAC_TARGET", "CELERIAC_TOKEN", "CELERIAC_CA"}


def declared() -> Iterator[str]:
    """Yields the variables of all classes of settings in the project."""
    for package in (services, deploy):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if module.name.endswith(".settings"):
                for value in vars(importlib.import_module(module.name)).values():
                    if isinstance(value, type) and issubclass(value, BaseSettings):
                        yield from (str(field.validation_alias) for field in value.model_fields.values())


def test_the_list_of_names_is_that_of_all_settings() -> None:
    ours = {name for name in declared() if name.startswith(PREFIX)}
    assert len(ours) > 30
    assert ours | OF_CLIENTS == KNOWN


def test_no_two_names_are_so_near_that_one_is_taken_for_the_other() -> None:
    assert misspelt(KNOWN) == []


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("CELERIAC_GATEWY_RATE", "CELERIAC_GATEWAY_RATE"),
        ("CELERIAC_TREADS", "CELERIAC_THREADS"),
        ("CELERIAC_TIMEZONE", "CELERIAC_TIME_ZONE"),
        ("CELERIAC_GATEWAY_PROT", "CELERIAC_GATEWAY_PORT"),
    ],
)
def test_a_misspelt_name_is_refused_with_the_one_that_was_meant(
    wrong: str, meant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(wrong, "1")
    with pytest.raises(SystemExit) as refused:
        read(KernelSettings)
    assert f"{wrong}: there is no such variable; did you mean {meant}?" in str(refused.value)


def test_names_that_kubernetes_adds_are_only_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    added = [
        "CELERIAC_AUDIT_PORT",
        "CELERIAC_AUDIT_PORT_50054_TCP_ADDR",
        "CELERIAC_GATEWAY_SERVICE_HOST",
        "CELERIAC_MONITOR_SERVICE_PORT_GRPC",
    ]
    for name in added:
        monkeypatch.setenv(name, "tcp://10.0.0.1:50054")
    assert misspelt(added) == []
    assert unknown() == added


@pytest.mark.parametrize(
    ("one", "other", "letters"),
    [("", "", 0), ("", "ab", 2), ("port", "port", 0), ("port", "prt", 1), ("port", "prot", 2), ("a", "b", 1)],
)
def test_letters_are_put_in_taken_out_or_replaced(one: str, other: str, letters: int) -> None:
    assert letters_between(one, other) == letters_between(other, one) == letters
