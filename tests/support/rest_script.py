"""The check of REST calls in a LuaJIT of the tests' own process: the same program that Envoy runs."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor import FileDescriptor
from lupa import luajit21

from deploy.envoy.rest_script import rest_script


@dataclass(frozen=True)
class Judged:
    """What becomes of a request: refused with `answer`, or passed on as `path` and `body`."""

    answer: Any
    path: str
    body: bytes

    @property
    def message(self) -> str:
        return str(self.answer["message"])

    @property
    def faults(self) -> dict[str, str]:
        """What is told of each field at fault."""
        kinds = {detail["@type"].rpartition(".")[2]: detail for detail in self.answer["details"]}
        violations = kinds.get("BadRequest", {}).get("field_violations", [])
        return {fault["field"]: fault["description"] for fault in violations}


class RestScript:
    """The program for some contracts."""

    def __init__(self, contracts: Iterable[FileDescriptor]) -> None:
        # Bytes in and out, as in Envoy.
        lua = luajit21.LuaRuntime(encoding=None, unpack_returned_tuples=True)
        lua.execute(rest_script(contracts, 8 * 1024 * 1024).encode())
        self._called, self._judge = lua.globals()[b"called"], lua.globals()[b"judge"]

    def judge(self, verb: str, path: str, body: Any = b"") -> Judged:
        """Judges a request; a body that is no bytes is written as JSON. The path must be one of a method."""
        raw = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
        call = self._called(verb.encode(), path.encode())
        assert call is not None, f"no method has the path {path}"
        judged = self._judge(call, raw, b"ticket-1")
        status, told, changed = (
            (*judged, None, None)[:3] if isinstance(judged, tuple) else (judged, None, None)
        )
        if status is not None:
            assert status == 400
            return Judged(json.loads(told), path, raw)
        return Judged(None, path if told is None else told.decode(), raw if changed is None else changed)

    def knows(self, verb: str, path: str) -> bool:
        return self._called(verb.encode(), path.encode()) is not None
