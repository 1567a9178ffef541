"""One fire, of which several tests look at what it left."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.standalone.tokens import LocalIssuer
from tests.chaos.fire import Aftermath, aftermath_of_a_fire


@pytest.fixture(scope="session")
def aftermath(certificates: Path, tokens: LocalIssuer, tmp_path_factory: pytest.TempPathFactory) -> Aftermath:
    return aftermath_of_a_fire(certificates, tmp_path_factory.mktemp("fire"))
