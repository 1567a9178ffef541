"""A key that is withdrawn from the key set ends its tokens at the gateway, also those that it has seen."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.standalone.tokens import LocalIssuer
from tests.support.calls import eventually
from tests.support.gateway import Gateway, running_gateway


@pytest.fixture
def issuer(certificates: Path, tmp_path: Path) -> LocalIssuer:
    """An issuer with a key set of its own, so that no other test loses its keys."""
    for name in ("ca.pem", "certs"):
        (tmp_path / name).symlink_to(certificates / name)
    issuer = LocalIssuer(tmp_path)
    issuer.ensure_key()
    return issuer


@pytest.fixture
def gateway(issuer: LocalIssuer) -> Iterator[Gateway]:
    """No service runs behind it: what it lets through ends in 503."""
    with running_gateway(issuer.key_set.parent, {}) as running:
        yield running


def withdraw_all(issuer: LocalIssuer) -> None:
    """As docs/gateway.md says: written beside it, then renamed."""
    beside = issuer.key_set.with_suffix(".new")
    beside.write_text(json.dumps({"keys": []}))
    beside.replace(issuer.key_set)


def test_a_token_that_was_let_through_is_refused_once_its_key_is_withdrawn(
    issuer: LocalIssuer, gateway: Gateway
) -> None:
    token = issuer.mint("admin", subject="mei")

    def status(token: str) -> int:
        return gateway.rest("GET", "/v1/schedules", token=token).status

    assert [status(token), status(token)] == [503, 503]
    withdraw_all(issuer)
    eventually(lambda: status(token) == 401)
    answer = gateway.rest("GET", "/v1/schedules", token=token)
    assert "TOKEN_INVALID" in str(answer.json["details"])
