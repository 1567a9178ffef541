"""Each service's rooms: its docstring lists what is there, in the contract's order, as the documents do."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest

from services import SERVICES, STORING

ROOT = Path(__file__).parents[2]
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
# What every service has, and no map has to tell.
USUAL = {"__init__", "__main__", "__pycache__", "migrations", "pace", "settings", "static", "tables"}


def map_of(service: str) -> str:
    """The docstring of services/<service>/__init__.py."""
    text = ast.get_docstring(ast.parse((ROOT / "services" / service / "__init__.py").read_text()))
    assert text
    return text


def listed(service: str) -> list[str]:
    """The rooms (or files, where a service has no rooms) of the map, top first."""
    return re.findall(r"^([a-z_]+) {2,}\S", map_of(service), re.MULTILINE)


@pytest.mark.parametrize("service", STORING)
def test_a_map_lists_all_that_stands_in_the_folder(service: str) -> None:
    found = {path.stem for path in (ROOT / "services" / service).iterdir()} - USUAL
    assert sorted(listed(service)) == sorted(found)


@pytest.mark.parametrize("service", STORING)
def test_a_map_has_the_order_of_the_import_contract(service: str) -> None:
    layers = [
        contract["layers"] for contract in CONTRACTS if contract.get("containers") == [f"services.{service}"]
    ]
    assert len(layers) == 1
    for levels in layers:
        # Of one level, any may come first.
        place = {room.strip(): level for level, rooms in enumerate(levels) for room in rooms.split("|")}
        assert sorted(listed(service), key=place.__getitem__) == listed(service)


@pytest.mark.parametrize("service", SERVICES)
def test_no_room_but_the_api_may_use_the_messages_of_the_contracts(service: str) -> None:
    """`serving` builds the servicers, and so do the `__main__` modules, which have no room."""
    contracts = [
        set(contract["source_modules"])
        for contract in CONTRACTS
        if contract["type"] == "forbidden" and "google" in contract["forbidden_modules"]
    ]
    wanted = {f"services.{service}.{room}" for room in listed(service) if room not in {"api", "serving"}}
    assert wanted in contracts


@pytest.mark.parametrize("service", STORING)
def test_the_architecture_has_the_same_map(service: str) -> None:
    assert map_of(service) in (ROOT / "docs/architecture.md").read_text()
