"""The Lua program that Envoy runs for REST calls: `rest/`, with what it knows of the contracts.

It refuses what the transcoder would drop in silence (docs/decisions/gateway-rest-checks.md).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from google.protobuf.descriptor import FileDescriptor

from deploy.envoy.rest_contracts import rest_contracts

FOLDER = Path(__file__).with_name("rest")
# The module that Envoy runs; the others are loaded by it.
FILTER = "filter"


def rest_script(files: Iterable[FileDescriptor], most_bytes: int) -> str:
    """Returns the program for the REST paths of these contracts, with bodies of so many bytes at most."""
    modules = {path.stem: path.read_text() for path in sorted(FOLDER.glob("*.lua"))}
    last = modules.pop(FILTER)
    modules["schema"] = f"return {lua(rest_contracts(files) | {'most_bytes': most_bytes})}\n"
    return "\n".join([*(_module(name, text) for name, text in modules.items()), last])


def _module(name: str, text: str) -> str:
    return f'package.preload["{name}"] = function()\n{text}end\n'


def lua(value: Any) -> str:
    """Returns the value as a Lua expression: a dict as a table by names, a list as one by numbers from 1."""
    if isinstance(value, dict):
        pairs = (f"[{lua(key)}]={lua(item)}" for key, item in value.items() if item is not None)
        return "{" + ",".join(pairs) + "}"
    if isinstance(value, list | tuple):
        return "{" + ",".join(map(lua, value)) + "}"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    return _text(str(value))


def _text(text: str) -> str:
    """As bytes outside ASCII need no escape in Lua, only what ends or begins one."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
    return f'"{escaped}"'
