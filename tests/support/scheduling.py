"""Which worker of pytest-xdist runs which tests: `pytest --numprocesses 2`."""

from __future__ import annotations

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

# What is started once for a whole folder is started by one worker.
SHARED = ("tests/chaos", "tests/e2e/gateway")


class ByModule(LoadScopeScheduling):  # type: ignore[misc] # xdist has no type information
    """A module's tests go to the same worker, since its servers and its database are made once for them.

    Modules go out in the order in which they are collected: the long ones, with many processes, first.
    """

    def __init__(self, config: pytest.Config, log: Producer | None = None) -> None:
        config.option.loadscopereorder = False
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        module = nodeid.partition("::")[0]
        return next((folder for folder in SHARED if module.startswith(f"{folder}/")), module)
