"""Services of these tests look five times as often as usual: their tests would wait for them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module", autouse=True)
def quick_services() -> Iterator[None]:
    """By the environment, from which `environment_of` takes what a test does not set."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("CELERIAC_PACE", "0.2")
        yield
