"""A client with the stubs of 0.1 is told what has changed: nothing is taken for something else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from deploy.standalone.tokens import LocalIssuer
from tests.support.configurations import CHUNKS, get
from tests.support.old_stubs import answers_to_old_client, old_stubs
from tests.support.processes import ServiceProcess

KEY = "embedder.rebuild.chunk_characters"
OLD, NEW = f"config/{KEY}", f"configs/{KEY}"
VALUE = {"int_value": 12_345}
# Method, request, the status of the answer, and words of its message.
CALLS: list[tuple[str, dict[str, Any], str, str]] = [
    ("ListConfig", {}, "UNIMPLEMENTED", ""),
    ("WatchConfig", {"after_revision": 3}, "UNIMPLEMENTED", ""),
    ("GetConfig", {"name": OLD}, "INVALID_ARGUMENT", "for example: configs/"),
    ("SetConfig", {"name": OLD, "value": VALUE}, "INVALID_ARGUMENT", "for example: configs/"),
    ("ResetConfig", {"name": OLD}, "INVALID_ARGUMENT", "for example: configs/"),
    ("RevealConfig", {"name": "config/secrets.a"}, "PERMISSION_DENIED", "super_admin"),
    ("ListConfigRevisions", {"name": OLD}, "INVALID_ARGUMENT", "parent is"),
    ("RollbackConfig", {"name": NEW, "revision": 1}, "INVALID_ARGUMENT", "older stubs"),
]


@pytest.fixture(scope="module")
def stubs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return old_stubs(tmp_path_factory.mktemp("stubs"))


def test_what_has_changed_is_refused_with_the_new_form(
    config: Any, service: ServiceProcess, tokens: LocalIssuer, stubs: Path
) -> None:
    before = get(config, CHUNKS)
    calls = [
        {"module": "scheduler.v1.config", "service": "ConfigService", "method": method, "request": request}
        for method, request, _, _ in CALLS
    ]
    answers = answers_to_old_client(stubs, service, tokens.mint("admin"), calls)
    for (method, _, code, words), answer in zip(CALLS, answers, strict=True):
        assert answer["code"] == code, (method, answer)
        assert words in answer["message"], (method, answer)
    assert get(config, CHUNKS) == before


def test_what_has_not_changed_is_answered_as_before(
    config: Any, service: ServiceProcess, tokens: LocalIssuer, stubs: Path
) -> None:
    calls = [
        {"module": "scheduler.v1.config", "service": "ConfigService", "method": method, "request": request}
        for method, request in (("SetConfig", {"name": NEW, "value": VALUE}), ("ResetConfig", {"name": NEW}))
    ]
    made, reset = answers_to_old_client(stubs, service, tokens.mint("admin"), calls)
    assert (made["answer"]["config"]["name"], made["answer"]["config"]["value"]) == (
        NEW,
        {"int_value": "12345"},
    )
    assert reset["answer"]["config"]["value"] == reset["answer"]["config"]["default_value"]
